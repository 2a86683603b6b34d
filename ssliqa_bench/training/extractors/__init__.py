"""Frozen feature extractors: from crops to maps of features, for networks that compare two pictures."""
