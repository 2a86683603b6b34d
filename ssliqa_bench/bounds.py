"""Bounds of numbers that people state: beyond them a slip of the finger is likelier than a wish."""

MOST_PROCESSES = 1024
MOST_PIXELS = 10**11
MOST_SEEDS = 10_000
MOST_LEVELS = 1000
LARGEST_SEED = 2**63 - 1
