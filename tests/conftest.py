"""Tests work on tiny arrays, for which a second thread is all waiting."""

import os

# Before torch is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
