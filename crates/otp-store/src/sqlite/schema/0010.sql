-- What acceptances of logins of a kind carry: rules, in the order of their positions and, where these are equal, of their names.
CREATE TABLE rules (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL UNIQUE,
    position         INTEGER NOT NULL CHECK (position >= 0),
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    conditions       BLOB,
    reply_attributes BLOB,
    created_at       INTEGER NOT NULL
) STRICT;
