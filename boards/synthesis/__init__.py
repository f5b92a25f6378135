"""Synthesis, place and route of a bare core with open tools, and checks of what it takes."""
