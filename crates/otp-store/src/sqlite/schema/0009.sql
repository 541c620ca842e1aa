-- Whether a client answers questions: those that rested on a right password, the answers, and how often that was to be learned anew.
ALTER TABLE clients ADD COLUMN learning INTEGER NOT NULL DEFAULT 0 CHECK (learning >= 0);
ALTER TABLE client_usage ADD COLUMN asked INTEGER NOT NULL DEFAULT 0 CHECK (asked >= 0);
ALTER TABLE client_usage ADD COLUMN answered INTEGER NOT NULL DEFAULT 0 CHECK (answered >= 0);
ALTER TABLE client_usage ADD COLUMN answered_at INTEGER NOT NULL DEFAULT 0;
