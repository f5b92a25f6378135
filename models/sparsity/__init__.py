"""Sparsity: the sparsity map + non-zero value list codec of feature maps."""
