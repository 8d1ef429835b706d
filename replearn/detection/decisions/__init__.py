"""Scores to concept sets: thresholds, expected F1, calibration, and the choice."""
