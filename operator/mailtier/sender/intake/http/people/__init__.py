"""What people ask of the queue over HTTPS: lists, and what failed sent again or dropped."""
