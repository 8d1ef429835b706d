"""Samples of a generator against real images, on features of any one encoder."""
