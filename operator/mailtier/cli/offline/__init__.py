"""The two tiers from files instead of a cluster: the same core as the operator's, on what a pull request holds."""
