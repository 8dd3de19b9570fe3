"""What of the queue is in memory, and what waits: claimed, held, expired, given up, left to others."""
