-- What acceptances of logins of a kind carry: rules, in the order of their positions and, where these are equal, of their names.
CREATE TABLE rules (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             TEXT   COLLATE "C" NOT NULL UNIQUE,
    position         BIGINT NOT NULL CHECK (position >= 0),
    enabled          BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    conditions       BYTEA,
    reply_attributes BYTEA,
    created_at       BIGINT NOT NULL
);
