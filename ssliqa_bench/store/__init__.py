"""Records, artifacts and the keys they stand under."""
