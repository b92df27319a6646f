"""Scores of completions that exist already: in a file, or in the rollouts of a run."""
