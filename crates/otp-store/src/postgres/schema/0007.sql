-- Several clients may stand on one network if the NAS-Identifiers that their requests must have differ; NULL for whatever it is.
ALTER TABLE clients ADD COLUMN nas_identifier TEXT;
ALTER TABLE clients DROP CONSTRAINT clients_network_key;
CREATE UNIQUE INDEX clients_by_network ON clients (network, (coalesce(nas_identifier, '')));
