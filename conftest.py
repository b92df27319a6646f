"""Settings of every test, of the core and of the plugins."""

from hypothesis import settings

# A deadline per example would measure how busy the machine is.
settings.register_profile("rft", deadline=None)
settings.load_profile("rft")
