-- The rights that a key is narrowed to. A key without any has those of its roles.
ALTER TABLE identity.api_keys ADD COLUMN scopes text[] NOT NULL DEFAULT '{}';
