"""Credentials: read, bound, remembered while they are fresh, and what becomes of those that are refused."""
