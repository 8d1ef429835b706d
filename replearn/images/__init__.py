"""Images of any source: finding, decoding, image sets."""
