"""The laws that a dataset owes its users, on the task beside this file that uses it."""

from pathlib import Path

from rftcore.testing import parametrize_laws

TASK = f"{Path(__file__).with_name('example_task.py')}:task"


@parametrize_laws(TASK)
def test_law(law):
    law.check()
