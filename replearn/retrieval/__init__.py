"""Search by image, and its page."""
