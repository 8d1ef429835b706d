"""Layers only: networks know neither losses nor training."""
