"""The machine: what makes a core an accelerator that a host loads, starts and reads."""
