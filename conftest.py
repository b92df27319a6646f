"""Settings of every test, of the core and of the plugins."""

import os

from hypothesis import settings

# Each worker of pytest-xdist has one core.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A deadline per example would measure how busy the machine is.
settings.register_profile("rft", deadline=None)
settings.load_profile("rft")
