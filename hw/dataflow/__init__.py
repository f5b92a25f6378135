"""Dataflow front ends, a folder each: what brings operands to the array."""
