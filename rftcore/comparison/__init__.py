"""Comparisons of runs: paradigms, models and seeds in one table, with tests and plots."""
