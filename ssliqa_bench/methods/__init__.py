"""One learner per file; the file name is the registry key of the family."""
