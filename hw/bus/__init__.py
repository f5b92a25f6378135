"""What brings a host to the accelerator: the bus of 32-bit words, and the links that drive it."""
