"""The hardware: parameterised Amaranth components of the accelerator. README.md says which file is which box."""
