"""The `skipstone` command."""
