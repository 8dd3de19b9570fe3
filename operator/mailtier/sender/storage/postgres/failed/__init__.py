"""What failed: kept for a while, so that it can be sent again."""
