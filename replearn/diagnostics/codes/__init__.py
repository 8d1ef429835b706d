"""The codes of models: how they follow their prior, what they carry, how sharply they act."""
