"""A finished model: its weights, how it is built, and how it judges images."""
