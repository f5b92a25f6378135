"""The driver: what runs a compiled program on an accelerator, over any transport."""
