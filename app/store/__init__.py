"""The store, and the only SQL: SQLite by default, Postgres for a team."""
