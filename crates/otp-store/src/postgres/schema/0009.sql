-- Whether a client answers questions: those that rested on a right password, the answers, and how often that was to be learned anew.
ALTER TABLE clients ADD COLUMN learning BIGINT NOT NULL DEFAULT 0 CHECK (learning >= 0);
ALTER TABLE client_usage ADD COLUMN asked BIGINT NOT NULL DEFAULT 0 CHECK (asked >= 0);
ALTER TABLE client_usage ADD COLUMN answered BIGINT NOT NULL DEFAULT 0 CHECK (answered >= 0);
ALTER TABLE client_usage ADD COLUMN answered_at BIGINT NOT NULL DEFAULT 0;
