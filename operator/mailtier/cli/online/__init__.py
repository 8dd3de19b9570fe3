"""What the commands that ask a cluster share: reaching it and its sender, and showing what it says."""
