"""The senders of one database: who is there, and what they tell each other."""
