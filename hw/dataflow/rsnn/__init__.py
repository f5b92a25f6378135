"""RSNN: one non-zero weight meets a vector of neighbouring pixels; its index is an address in a scratchpad."""
