-- Words in braces are the dialect's: see dialect.rs. Times are seconds since 1970, UTC.

-- A key is NULL where the account was imported without it.
CREATE TABLE accounts (
    address {name} NOT NULL PRIMARY KEY,
    md5 {bytes},
    sha256 {bytes},
    md5_whole {bytes},
    sha256_whole {bytes},
    scram_sha1_iterations {integer},
    scram_sha1_salt {bytes},
    scram_sha1_stored {bytes},
    scram_sha1_server {bytes},
    scram_sha256_iterations {integer},
    scram_sha256_salt {bytes},
    scram_sha256_stored {bytes},
    scram_sha256_server {bytes},
    created {integer} NOT NULL,
    changed {integer} NOT NULL,
    -- The value of the counter `accounts` at its last change.
    version {integer} NOT NULL
) {clustered};

CREATE INDEX accounts_by_version ON accounts (version);

-- What another process must forget.
CREATE TABLE removed_accounts (
    address {name} NOT NULL PRIMARY KEY,
    version {integer} NOT NULL
) {clustered};

CREATE INDEX removed_accounts_by_version ON removed_accounts (version);

CREATE TABLE counters (
    counter {name} NOT NULL PRIMARY KEY,
    latest {integer} NOT NULL
) {clustered};

INSERT INTO counters (counter, latest) VALUES ('accounts', 0);

-- SIP: where an address of record is reached.
CREATE TABLE bindings (
    aor {name} NOT NULL,
    place {integer} NOT NULL,
    expires {integer} NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (aor, place),
    FOREIGN KEY (aor) REFERENCES accounts (address) ON DELETE CASCADE
) {clustered};

-- XMPP: subscription 0 none, 1 to, 2 from, 3 both; groups joined by U+001F.
CREATE TABLE roster_items (
    account {name} NOT NULL,
    contact {name} NOT NULL,
    nickname {text},
    subscription {integer} NOT NULL,
    ask {integer} NOT NULL,
    approved {integer} NOT NULL,
    pending {bytes},
    listed {integer} NOT NULL,
    contact_groups {text} NOT NULL,
    PRIMARY KEY (account, contact),
    FOREIGN KEY (account) REFERENCES accounts (address) ON DELETE CASCADE
) {clustered};

-- XMPP: messages for accounts that are away.
CREATE TABLE offline_messages (
    id {serial},
    account {name} NOT NULL,
    stored {integer} NOT NULL,
    payload {bytes} NOT NULL,
    FOREIGN KEY (account) REFERENCES accounts (address) ON DELETE CASCADE
);

CREATE INDEX offline_messages_by_account ON offline_messages (account, id);
