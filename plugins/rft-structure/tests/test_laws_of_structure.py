"""The laws of rftcore.testing, on the task and on the paper's own rewards."""

from rftcore.testing import parametrize_laws

# By the numbers of docs/papers.md, where each defect and its repair are listed.
DEFECTS = {
    "accuracy-ignores-reasoning": "defect 5: the first answer block wins, also in the reasoning",
    "no-answer-lists": "defect 1: evaluation takes the last number of a list",
    "no-tag-tricks": "defect 5: the first of several answer blocks wins",
    "form-has-content": "defect 12: empty, nested and repeated blocks pass",
    "no-repetition": "defect 1: evaluation takes the last number of a list",
    "no-strange-text": "defect 1: evaluation takes the last number, also of strange text",
}


@parametrize_laws("structure")
def test_law(law):
    law.check()


@parametrize_laws("structure", compat="paper", expected_failures=DEFECTS)
def test_the_laws_find_the_defects_of_the_papers_rewards(law):
    law.check()
