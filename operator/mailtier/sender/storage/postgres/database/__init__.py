"""The database: connections, transactions that are tried again, tables, numbers."""
