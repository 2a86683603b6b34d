"""Readers: from a dataset's folder to a RawTable in the dataset's own direction; one file per format on disk."""
