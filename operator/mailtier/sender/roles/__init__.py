"""What a sender's processes are made of, wired together: the intake, and delivery."""
