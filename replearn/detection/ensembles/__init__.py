"""Ensembles: the probabilities of several detectors, joined by name, and one rule for all."""
