"""The MAC array: groups of lanes that multiply and accumulate whatever a dataflow gives them."""
