"""Comparison of encoders x detectors: its settings, its tasks, its results and their tables."""
