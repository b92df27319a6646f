"""The laws that every plugin owes its users: one test each, named by the law."""

from rftcore.testing import Law, parametrize_laws


@parametrize_laws("rft-my-task:my-task")
def test_law(law: Law) -> None:
    law.check()
