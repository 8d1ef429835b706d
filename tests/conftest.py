"""Tests work on tiny arrays, for which a second thread is all waiting."""

import os

from hypothesis import settings

# Before torch is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
