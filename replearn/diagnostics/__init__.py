"""What is known about models, as numbers with intervals: small functions on arrays and modules.

A number is an `Estimate`: a value, an interval, N, and what the same number is of real images
against real ones.  `docs/diagnostics.md` leads from a symptom to a remedy.
"""
