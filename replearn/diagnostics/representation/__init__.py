"""What features are worth: without labels, with few, when images are changed, and by factor."""
