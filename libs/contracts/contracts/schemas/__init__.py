"""JSON Schemas from outside: what their references name, and how much work they can make. Validates nothing itself."""
