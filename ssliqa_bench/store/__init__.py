"""Records, artifacts and the keys they are stored under."""
