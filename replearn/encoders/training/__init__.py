"""The training of an objective: settings, batches, steps, checkpoints, progress."""
