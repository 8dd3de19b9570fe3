"""The embedded queue: SQLite in write-ahead mode, one writer with group commit, and a journal of completions."""
