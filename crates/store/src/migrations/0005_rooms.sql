-- XMPP: rooms, who is what to them, and what was said in them.
CREATE TABLE rooms (
    address {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (address)
) {clustered};

CREATE TABLE room_ranks (
    room {name} NOT NULL,
    contact {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (room, contact),
    FOREIGN KEY (room) REFERENCES rooms (address) ON DELETE CASCADE
) {clustered};

CREATE TABLE room_messages (
    room {name} NOT NULL,
    id {integer} NOT NULL,
    peer {name} NOT NULL,
    resource {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (room, id),
    FOREIGN KEY (room) REFERENCES rooms (address) ON DELETE CASCADE
) {clustered};
