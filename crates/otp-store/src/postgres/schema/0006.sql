-- The secret that a client had before its present one, and from when until when both hold; NULL for none.
ALTER TABLE clients ADD COLUMN old_secret_sealed BYTEA;
ALTER TABLE clients ADD COLUMN old_secret_since BIGINT;
ALTER TABLE clients ADD COLUMN old_secret_until BIGINT;

-- What has come from clients, added up by the daemons now and then. Times are seconds since the Unix epoch, 0 for never; a row
-- goes with its client.
CREATE TABLE client_usage (
    client_id      BIGINT  NOT NULL PRIMARY KEY,
    since          BIGINT  NOT NULL,
    requests       BIGINT  NOT NULL CHECK (requests >= 0),
    last_at        BIGINT  NOT NULL,
    new_secret_at  BIGINT  NOT NULL,
    old_secret     BIGINT  NOT NULL CHECK (old_secret >= 0),
    old_secret_at  BIGINT  NOT NULL,
    unprotected    BIGINT  NOT NULL CHECK (unprotected >= 0),
    unprotected_at BIGINT  NOT NULL,
    proxy_state    BIGINT  NOT NULL CHECK (proxy_state >= 0),
    proxy_state_at BIGINT  NOT NULL,
    discarded      BIGINT  NOT NULL CHECK (discarded >= 0),
    discarded_at   BIGINT  NOT NULL
);
