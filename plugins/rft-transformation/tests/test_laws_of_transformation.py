"""The laws of rftcore.testing, on the task and on the paper's own rewards."""

from rftcore.testing import parametrize_laws

# By the numbers of docs/papers.md, where each defect and its repair are listed.
DEFECTS = {
    "accuracy-ignores-reasoning": "defect 5: the first answer block wins, in the reasoning too",
    "no-tag-tricks": "defect 5: the first of several answer blocks wins",
    "form-has-content": "defect 12: empty, nested and repeated blocks pass",
    "no-repetition": "defect 9: repeats are free in evaluation",
    "no-strange-text": "defect 6: calls are picked out of any text around them",
}


@parametrize_laws("transformation")
def test_law(law):
    law.check()


@parametrize_laws("transformation", compat="paper", expected_failures=DEFECTS)
def test_the_laws_find_the_defects_of_the_papers_rewards(law):
    law.check()
