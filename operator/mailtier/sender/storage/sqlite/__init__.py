"""The queue in one file of SQLite."""
