"""JSON Web Tokens of an issuer, and those by which our services know each other."""
