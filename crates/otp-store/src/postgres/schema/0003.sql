-- What was decided and done: appended, never changed. Each link is a keyed digest of its record and of the link before.
CREATE TABLE audit (
    chain   BIGINT NOT NULL,
    number  BIGINT NOT NULL CHECK (number > 0),
    at      BIGINT NOT NULL,
    request BIGINT,
    record  TEXT   NOT NULL,
    link    BYTEA  NOT NULL CHECK (length(link) = 32),
    PRIMARY KEY (chain, number)
);

-- Requests of one run are numbered in their order, so that this grows at its end.
CREATE INDEX audit_by_request ON audit (request) WHERE request IS NOT NULL;

-- Where each chain ends. Whoever appends locks the row of a chain; there are as many as ever wrote at once.
CREATE TABLE audit_chains (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   BYTEA  NOT NULL UNIQUE CHECK (length(name) = 16),
    number BIGINT NOT NULL CHECK (number >= 0),
    link   BYTEA  NOT NULL CHECK (length(link) = 32)
) WITH (fillfactor = 20);

CREATE FUNCTION audit_is_only_appended_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only appended to' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_appended_to();

CREATE FUNCTION audit_chains_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.number > OLD.number AND NEW.id = OLD.id AND NEW.name = OLD.name THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit trail is only appended to' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER audit_chains_grow BEFORE UPDATE OR DELETE ON audit_chains
    FOR EACH ROW EXECUTE FUNCTION audit_chains_only_grow();

CREATE TRIGGER audit_chains_stay BEFORE TRUNCATE ON audit_chains
    FOR EACH STATEMENT EXECUTE FUNCTION audit_chains_only_grow();
