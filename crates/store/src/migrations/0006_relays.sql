-- SIP: calls whose media are relayed. Number 0 is no call: it says when the server was there last.
CREATE TABLE relays (
    number {integer} NOT NULL,
    written {integer} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (number)
) {clustered};
