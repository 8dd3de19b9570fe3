"""The two tiers: resolution of effective settings, policy, binding of credentials. Pure: no I/O, no clock."""
