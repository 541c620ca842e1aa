-- Several clients may stand on one network if the NAS-Identifiers that their requests must have differ; NULL for whatever it is. A
-- constraint of a table cannot be dropped, so the table is made anew; numbers are never used again all the same.
CREATE TABLE clients_new (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    uid                   BLOB    NOT NULL UNIQUE CHECK (length(uid) = 16),
    name                  TEXT    NOT NULL UNIQUE,
    enabled               INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    network               TEXT,
    nas_identifier        TEXT,
    secret_sealed         BLOB,
    message_authenticator TEXT    NOT NULL,
    grammar               TEXT,
    repeat_grace          INTEGER NOT NULL,
    reject_delay_ms       INTEGER NOT NULL,
    created_at            INTEGER NOT NULL,
    reply_attributes      BLOB,
    old_secret_sealed     BLOB,
    old_secret_since      INTEGER,
    old_secret_until      INTEGER
) STRICT;

INSERT INTO clients_new (id, uid, name, enabled, network, secret_sealed, message_authenticator, grammar, repeat_grace,
                         reject_delay_ms, created_at, reply_attributes, old_secret_sealed, old_secret_since, old_secret_until)
SELECT id, uid, name, enabled, network, secret_sealed, message_authenticator, grammar, repeat_grace,
       reject_delay_ms, created_at, reply_attributes, old_secret_sealed, old_secret_since, old_secret_until
FROM clients;

DELETE FROM sqlite_sequence WHERE name = 'clients_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'clients_new', seq FROM sqlite_sequence WHERE name = 'clients';
DROP TABLE clients;
ALTER TABLE clients_new RENAME TO clients;

CREATE UNIQUE INDEX clients_by_network ON clients (network, coalesce(nas_identifier, ''));
