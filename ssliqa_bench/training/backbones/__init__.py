"""Feature networks, each in a file of its own, built by their class path."""
