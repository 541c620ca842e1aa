-- The secret that a client had before its present one, and from when until when both hold; NULL for none.
ALTER TABLE clients ADD COLUMN old_secret_sealed BLOB;
ALTER TABLE clients ADD COLUMN old_secret_since INTEGER;
ALTER TABLE clients ADD COLUMN old_secret_until INTEGER;

-- What has come from clients, added up by the daemons now and then. Times are seconds since the Unix epoch, 0 for never; a row
-- goes with its client.
CREATE TABLE client_usage (
    client_id      INTEGER NOT NULL PRIMARY KEY,
    since          INTEGER NOT NULL,
    requests       INTEGER NOT NULL CHECK (requests >= 0),
    last_at        INTEGER NOT NULL,
    new_secret_at  INTEGER NOT NULL,
    old_secret     INTEGER NOT NULL CHECK (old_secret >= 0),
    old_secret_at  INTEGER NOT NULL,
    unprotected    INTEGER NOT NULL CHECK (unprotected >= 0),
    unprotected_at INTEGER NOT NULL,
    proxy_state    INTEGER NOT NULL CHECK (proxy_state >= 0),
    proxy_state_at INTEGER NOT NULL,
    discarded      INTEGER NOT NULL CHECK (discarded >= 0),
    discarded_at   INTEGER NOT NULL
) STRICT;
