-- Verdicts that may be asked for again stand in the row of their account, which every acceptance writes anyway. Those of before
-- are forgotten; their codes stay spent.
DROP TABLE acceptances;

ALTER TABLE accounts ADD COLUMN accepted_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN acceptances BYTEA NOT NULL DEFAULT '';

-- When a code was last accepted by whoever appended to this chain; 0 for never, or forgotten.
ALTER TABLE audit_chains ADD COLUMN accepted_at BIGINT NOT NULL DEFAULT 0;

-- The time may be forgotten without a record.
CREATE OR REPLACE FUNCTION audit_chains_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id AND NEW.name = OLD.name
        AND (NEW.number > OLD.number OR (NEW.number = OLD.number AND NEW.link = OLD.link))
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is only appended to' USING ERRCODE = 'integrity_constraint_violation';
END $$;
