"""The laws that every task owes its users: one test each, named by the law."""

from rftcore.testing import parametrize_laws


@parametrize_laws("rft-my-task:my-task")
def test_law(law):
    law.check()
