"""Scores of a policy: on the splits of a task and on suites of questions, with intervals."""
