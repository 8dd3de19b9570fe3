"""The embedded queue's tables: their versions, and the mark of a queue that was moved away."""
