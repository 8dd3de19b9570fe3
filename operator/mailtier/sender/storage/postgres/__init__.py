"""The queue in a Postgres database, for more than one machine; `tests/contract/queue` holds the contract."""
