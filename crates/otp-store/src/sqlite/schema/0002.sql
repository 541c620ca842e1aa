-- Failures are counted at each client. Those of before are forgiven; a lock that they brought ends when it would have. A client
-- that is removed leaves its rows, which weigh on nobody for more than a day.
CREATE TABLE lockouts (
    user_id           INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id         INTEGER NOT NULL,
    otp_failures      INTEGER NOT NULL,
    password_failures INTEGER NOT NULL,
    failed_at         INTEGER NOT NULL,
    locked_until      INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;

-- What stays in the account is the lock at all clients.
ALTER TABLE accounts DROP COLUMN otp_failures;
ALTER TABLE accounts DROP COLUMN password_failures;
