"""Other packages seen as methods of ours; imported only on request."""
