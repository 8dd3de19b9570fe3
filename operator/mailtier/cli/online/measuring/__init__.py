"""What is under way in a cluster, in figures: what the pods say of themselves, and what follows between two looks."""
