"""One's own photographs: scoring them, training on them, asking which to rate next, rating them."""
