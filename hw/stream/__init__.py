"""The feature-map streams: sparsity map + non-zero value list on the wire, activation words inside."""
