"""The HTTPS intake: who may hand over a notification, what it has to be, and the answer after the commit."""
