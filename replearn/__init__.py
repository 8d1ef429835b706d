"""Representations of unlabelled images, and the concepts and similar images found with them."""

__version__ = "0.1.0"
