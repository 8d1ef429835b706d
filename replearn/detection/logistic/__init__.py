"""Multi-label logistic regression, exact and for many labels at once."""
