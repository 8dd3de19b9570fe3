"""The queue's two halves on SQLite: what the intake asks of it, and what delivery does."""
