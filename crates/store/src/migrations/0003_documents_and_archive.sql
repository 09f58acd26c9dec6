-- XMPP: what an account's clients keep with the server. Kinds: 1 settings, 2 private storage, 3 vCard.
CREATE TABLE documents (
    account {name} NOT NULL,
    kind {integer} NOT NULL,
    title {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (account, kind, title),
    FOREIGN KEY (account) REFERENCES accounts (address) ON DELETE CASCADE
) {clustered};

-- XMPP: what an account said and heard. An id is the time in microseconds since 1970, times 1024, plus a number.
CREATE TABLE archived_messages (
    account {name} NOT NULL,
    id {integer} NOT NULL,
    peer {name} NOT NULL,
    resource {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (account, id),
    FOREIGN KEY (account) REFERENCES accounts (address) ON DELETE CASCADE
) {clustered};

CREATE INDEX archived_messages_by_peer ON archived_messages (account, peer, id);
