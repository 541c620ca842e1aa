-- Failures are counted at each client. Those of before are forgiven; a lock that they brought ends when it would have. A client
-- that is removed leaves its rows, which weigh on nobody for more than a day.
CREATE TABLE lockouts (
    user_id           BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id         BIGINT NOT NULL,
    otp_failures      BIGINT NOT NULL,
    password_failures BIGINT NOT NULL,
    failed_at         BIGINT NOT NULL,
    locked_until      BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
) WITH (fillfactor = 70);

-- What stays in the account is the lock at all clients.
ALTER TABLE accounts DROP COLUMN otp_failures;
ALTER TABLE accounts DROP COLUMN password_failures;
