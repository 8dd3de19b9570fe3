"""Messages and SMTP: building, sending and judging, as values and state machines. Pure: no I/O, no clock."""
