"""Benchmarks: figures of whole networks, printed by a command each."""
