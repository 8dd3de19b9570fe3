"""From an entry's turn to what its attempt means: cleared, carried, announced, decided, applied."""
