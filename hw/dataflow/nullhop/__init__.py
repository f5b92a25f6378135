"""NullHop: skip zero activations. One non-zero pixel is broadcast to the lanes, one weight per output map."""
