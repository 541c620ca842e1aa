-- One row: which key seals, the key of the digests, and what moves when clients change.
CREATE TABLE meta (
    one              INTEGER PRIMARY KEY CHECK (one = 1),
    uid              BLOB    NOT NULL CHECK (length(uid) = 16),
    key_id           BLOB    NOT NULL CHECK (length(key_id) = 4),
    index_key_sealed BLOB    NOT NULL,
    client_epoch     INTEGER NOT NULL,
    probe            INTEGER NOT NULL,
    created_at       INTEGER NOT NULL
) STRICT;

-- Numbers are never used again (AUTOINCREMENT): what remembers one means that row and no later one.
CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    uid             BLOB    NOT NULL UNIQUE CHECK (length(uid) = 16),
    name            TEXT    NOT NULL UNIQUE,
    enabled         INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    expires_at      INTEGER,
    password_sealed BLOB,
    grammar         TEXT,
    created_at      INTEGER NOT NULL
) STRICT;

-- What changes with every decision, apart from what does not.
CREATE TABLE accounts (
    user_id           INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    version           INTEGER NOT NULL,
    otp_failures      INTEGER NOT NULL,
    password_failures INTEGER NOT NULL,
    locked_until      INTEGER NOT NULL
) STRICT;

-- The smallest counter or step that may still be accepted, by what makes tokens show the same codes. Rows outlive tokens.
CREATE TABLE replay (
    id   BLOB    PRIMARY KEY CHECK (length(id) = 16),
    next INTEGER NOT NULL CHECK (next >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER replay_grows BEFORE UPDATE ON replay
WHEN NEW.next < OLD.next OR NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'replay state only grows');
END;

CREATE TRIGGER replay_stays BEFORE DELETE ON replay
BEGIN
    SELECT RAISE(ABORT, 'replay state is never deleted');
END;

-- REPLACE would delete without asking the trigger above.
CREATE TRIGGER replay_is_not_replaced BEFORE INSERT ON replay
WHEN EXISTS (SELECT 1 FROM replay WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'replay state is never replaced');
END;

CREATE TABLE tokens (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    uid           BLOB    NOT NULL UNIQUE CHECK (length(uid) = 16),
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    label         TEXT    NOT NULL,
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    status        TEXT    NOT NULL CHECK (status IN ('pending', 'active')),
    kind          TEXT    NOT NULL CHECK (kind IN ('hotp', 'totp')),
    algorithm     TEXT    NOT NULL,
    digits        INTEGER NOT NULL,
    look_ahead    INTEGER,
    step          INTEGER,
    t0            INTEGER,
    window_past   INTEGER,
    window_future INTEGER,
    drift         INTEGER,
    key_sealed    BLOB    NOT NULL,
    replay_id     BLOB    NOT NULL REFERENCES replay (id),
    created_at    INTEGER NOT NULL,
    UNIQUE (user_id, label)
) STRICT;

-- Verdicts that may be asked for again. A twin's row names the packet that was accepted first.
CREATE TABLE acceptances (
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    packet      BLOB    NOT NULL CHECK (length(packet) = 32),
    client_id   INTEGER NOT NULL,
    credential  BLOB    NOT NULL CHECK (length(credential) = 32),
    token_id    INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    matched     INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    channel     INTEGER,
    twin_of     BLOB    CHECK (length(twin_of) = 32),
    PRIMARY KEY (user_id, packet)
) STRICT, WITHOUT ROWID;

CREATE INDEX acceptances_by_time ON acceptances (accepted_at);

CREATE TABLE clients (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    uid                   BLOB    NOT NULL UNIQUE CHECK (length(uid) = 16),
    name                  TEXT    NOT NULL UNIQUE,
    enabled               INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    network               TEXT    UNIQUE,
    secret_sealed         BLOB,
    message_authenticator TEXT    NOT NULL,
    grammar               TEXT,
    repeat_grace          INTEGER NOT NULL,
    reject_delay_ms       INTEGER NOT NULL,
    created_at            INTEGER NOT NULL
) STRICT;
