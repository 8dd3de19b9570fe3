"""Sessions: opened, logged in, and the transactions that they carry."""
