-- Who decides on a user in place of here, and under which name; NULL for nobody, and for the name that came in.
ALTER TABLE users ADD COLUMN upstream TEXT;
ALTER TABLE users ADD COLUMN upstream_name TEXT;
