"""The boards as a site of static files that opens from the file system."""
