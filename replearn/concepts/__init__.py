"""Concept tables: their files and layouts, vocabularies, splits."""
