"""What goes between the intake, delivery and the queue, beside mail: requests, displays, the bell, lists, owners."""
