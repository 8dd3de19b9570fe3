"""What holds for a queue whatever stores it: who may have how much, what is kept how long, what a crash means; pure."""
