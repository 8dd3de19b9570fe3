"""Queues that are moved into the database: how far each is, and storing its parts."""
