"""Other projects' generators, measured in environments of their own."""
