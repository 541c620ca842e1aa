-- What an acceptance tells the client, of the user's and of the client's own; NULL for nothing.
ALTER TABLE users ADD COLUMN reply_attributes BLOB;
ALTER TABLE clients ADD COLUMN reply_attributes BLOB;
