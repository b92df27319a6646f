"""Score existing completions: those of a file, or the rollouts of a run."""
