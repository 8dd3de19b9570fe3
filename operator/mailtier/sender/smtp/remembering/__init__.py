"""What a process learned of servers, kept for the next one: it would else ask all of them anew."""
