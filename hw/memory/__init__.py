"""On-chip memories: activations (banked, shared) and weights (one a group)."""
