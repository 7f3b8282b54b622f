"""Where the worker meets PostgreSQL. Nothing else names asyncpg."""
