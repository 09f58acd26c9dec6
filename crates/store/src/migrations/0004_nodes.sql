-- XMPP: what accounts publish (XEP-0060, XEP-0163). Numbers and places are times, as the ids of archives are.
CREATE TABLE pubsub_nodes (
    account {name} NOT NULL,
    number {integer} NOT NULL,
    name {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (account, number),
    FOREIGN KEY (account) REFERENCES accounts (address) ON DELETE CASCADE
) {clustered};

CREATE TABLE pubsub_items (
    account {name} NOT NULL,
    node {integer} NOT NULL,
    place {integer} NOT NULL,
    id {name} NOT NULL,
    publisher {name} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (account, node, place),
    FOREIGN KEY (account, node) REFERENCES pubsub_nodes (account, number) ON DELETE CASCADE
) {clustered};

CREATE UNIQUE INDEX pubsub_items_by_id ON pubsub_items (account, node, id);
