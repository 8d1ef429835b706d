"""Losses that several models share: adversarial losses, priors."""
