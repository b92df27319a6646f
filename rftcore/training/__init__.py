"""The loop of two phases, and the one place that knows TRL."""

from rftcore.training.loop import Job, train

__all__ = ["Job", "train"]
