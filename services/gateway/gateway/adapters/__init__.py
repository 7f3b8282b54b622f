"""PostgreSQL for the gateway. The only package here that names asyncpg."""
