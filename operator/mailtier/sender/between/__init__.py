"""What the intake and delivery tell each other: requests, what delivery shows, and the bell."""
