-- What was decided and done: appended, never changed. Each link is a keyed digest of its record and of the link before.
CREATE TABLE audit (
    chain   INTEGER NOT NULL,
    number  INTEGER NOT NULL CHECK (number > 0),
    at      INTEGER NOT NULL,
    request INTEGER,
    record  TEXT    NOT NULL,
    link    BLOB    NOT NULL CHECK (length(link) = 32),
    UNIQUE (chain, number)
) STRICT;

-- Requests of one run are numbered in their order, so that this grows at its end.
CREATE INDEX audit_by_request ON audit (request) WHERE request IS NOT NULL;

-- Where each chain ends.
CREATE TABLE audit_chains (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    name   BLOB    NOT NULL UNIQUE CHECK (length(name) = 16),
    number INTEGER NOT NULL CHECK (number >= 0),
    link   BLOB    NOT NULL CHECK (length(link) = 32)
) STRICT;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only appended to');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only appended to');
END;

-- REPLACE would delete without asking the trigger above.
CREATE TRIGGER audit_appends BEFORE INSERT ON audit
WHEN NEW.number <= (SELECT number FROM audit_chains WHERE id = NEW.chain)
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only appended to');
END;

CREATE TRIGGER audit_chains_grow BEFORE UPDATE ON audit_chains
WHEN NEW.number <= OLD.number OR NEW.id <> OLD.id OR NEW.name <> OLD.name
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only appended to');
END;

CREATE TRIGGER audit_chains_stay BEFORE DELETE ON audit_chains
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only appended to');
END;
