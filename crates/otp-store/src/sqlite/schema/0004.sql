-- Verdicts that may be asked for again stand in the row of their account, which every acceptance writes anyway: a code costs
-- one row of the account and one of the replay state. Those of before are forgotten; their codes stay spent.
DROP TABLE acceptances;

ALTER TABLE accounts ADD COLUMN accepted_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN acceptances BLOB NOT NULL DEFAULT x'';

-- When a code was last accepted by whoever appended to this chain; 0 for never, or forgotten.
ALTER TABLE audit_chains ADD COLUMN accepted_at INTEGER NOT NULL DEFAULT 0;

-- The time may be forgotten without a record.
DROP TRIGGER audit_chains_grow;

CREATE TRIGGER audit_chains_grow BEFORE UPDATE ON audit_chains
WHEN NEW.number < OLD.number OR (NEW.number = OLD.number AND NEW.link <> OLD.link) OR NEW.id <> OLD.id OR NEW.name <> OLD.name
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only appended to');
END;
