"""Which recipient is next; pure."""
