"""Outcomes: what is noted of attempts under way, and what is stored of those that have ended."""
