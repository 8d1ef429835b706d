"""Features to concepts: scorers, the decisions on their scores, detectors."""
