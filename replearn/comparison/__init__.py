"""Encoders beside detectors: the settings of a comparison, its data and its results."""
