"""One process that keeps the intake's and delivery's: light, and with nothing of theirs in it."""
