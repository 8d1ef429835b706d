"""Images to vectors: everything that needs torch."""
