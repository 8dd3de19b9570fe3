"""What a mail administrator would say of settings that are valid and allowed: findings that block nothing."""
