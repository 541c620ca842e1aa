-- One row: which schema this is.
CREATE TABLE schema (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL
);

-- A number that comes up in no other history of this database.
CREATE FUNCTION random_version() RETURNS BIGINT LANGUAGE sql VOLATILE AS
    $$ SELECT ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)
                   || substr(replace(gen_random_uuid()::text, '-', ''), 1, 4))::bit(64)::bigint $$;

-- One row: which key seals, the key of the digests, and what moves when clients change.
CREATE TABLE meta (
    one              BIGINT PRIMARY KEY CHECK (one = 1),
    uid              BYTEA  NOT NULL CHECK (length(uid) = 16),
    key_id           BYTEA  NOT NULL CHECK (length(key_id) = 4),
    index_key_sealed BYTEA  NOT NULL,
    client_epoch     BIGINT NOT NULL,
    probe            BIGINT NOT NULL,
    created_at       BIGINT NOT NULL
);

CREATE TABLE users (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid             BYTEA  NOT NULL UNIQUE CHECK (length(uid) = 16),
    name            TEXT   COLLATE "C" NOT NULL UNIQUE,
    enabled         BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    expires_at      BIGINT,
    password_sealed BYTEA,
    grammar         TEXT,
    created_at      BIGINT NOT NULL
);

-- What changes with every decision, apart from what does not.
CREATE TABLE accounts (
    user_id           BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    version           BIGINT NOT NULL,
    otp_failures      BIGINT NOT NULL,
    password_failures BIGINT NOT NULL,
    locked_until      BIGINT NOT NULL
) WITH (fillfactor = 70);

-- The smallest counter or step that may still be accepted, by what makes tokens show the same codes. Rows outlive tokens.
CREATE TABLE replay (
    id   BYTEA  PRIMARY KEY CHECK (length(id) = 16),
    next BIGINT NOT NULL CHECK (next >= 0)
) WITH (fillfactor = 70);

CREATE FUNCTION replay_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.next >= OLD.next AND NEW.id = OLD.id THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'replay state only grows' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER replay_grows BEFORE UPDATE OR DELETE ON replay
    FOR EACH ROW EXECUTE FUNCTION replay_only_grows();

CREATE TRIGGER replay_stays BEFORE TRUNCATE ON replay
    FOR EACH STATEMENT EXECUTE FUNCTION replay_only_grows();

CREATE TABLE tokens (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid           BYTEA  NOT NULL UNIQUE CHECK (length(uid) = 16),
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    label         TEXT   COLLATE "C" NOT NULL,
    enabled       BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    status        TEXT   NOT NULL CHECK (status IN ('pending', 'active')),
    kind          TEXT   NOT NULL CHECK (kind IN ('hotp', 'totp')),
    algorithm     TEXT   NOT NULL,
    digits        BIGINT NOT NULL,
    look_ahead    BIGINT,
    step          BIGINT,
    t0            BIGINT,
    window_past   BIGINT,
    window_future BIGINT,
    drift         BIGINT,
    key_sealed    BYTEA  NOT NULL,
    replay_id     BYTEA  NOT NULL REFERENCES replay (id),
    created_at    BIGINT NOT NULL,
    UNIQUE (user_id, label)
);

-- Verdicts that may be asked for again. A twin's row names the packet that was accepted first. `change` is the version
-- that the account got by the acceptance: who does not know what became of a commit finds it by this.
CREATE TABLE acceptances (
    user_id     BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    packet      BYTEA  NOT NULL CHECK (length(packet) = 32),
    client_id   BIGINT NOT NULL,
    credential  BYTEA  NOT NULL CHECK (length(credential) = 32),
    token_id    BIGINT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    matched     BIGINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    channel     BIGINT,
    twin_of     BYTEA  CHECK (length(twin_of) = 32),
    change      BIGINT,
    PRIMARY KEY (user_id, packet)
);

CREATE INDEX acceptances_by_time ON acceptances (accepted_at);

CREATE TABLE clients (
    id                    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid                   BYTEA  NOT NULL UNIQUE CHECK (length(uid) = 16),
    name                  TEXT   COLLATE "C" NOT NULL UNIQUE,
    enabled               BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    network               TEXT   UNIQUE,
    secret_sealed         BYTEA,
    message_authenticator TEXT   NOT NULL,
    grammar               TEXT,
    repeat_grace          BIGINT NOT NULL,
    reject_delay_ms       BIGINT NOT NULL,
    created_at            BIGINT NOT NULL
);
