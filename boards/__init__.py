"""What turns an accelerator into a circuit on a real part: synthesis, place and route, and their checks."""
