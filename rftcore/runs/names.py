"""Names of the files of a run, relative to its folder."""

RECIPE, MANIFEST, STATE = "recipe.yaml", "manifest.json", "state.json"
METRICS, ROLLOUTS, FAILURES = "metrics.jsonl", "rollouts.jsonl", "failures.jsonl"
PROMPTS, TRACKING, USAGE = "prompts.jsonl", "tracking.json", "usage.json"
SUMMARY, TABLE, REPORT = "summary.json", "summary.txt", "report.html"
EVALUATION, PARTIAL, MODEL, ADAPTER, CARD = "evaluation", "partial", "model", "adapter", "README.md"
PHASES = ("sft", "grpo")  # that train, in order
GREEDY = "greedy"
KINDS = (GREEDY, "blind", "sampled")  # of answers


def result_name(phase: str) -> str:
    """The file of how a phase ended."""
    return f"{phase}.json"


def scores_name(stage: str) -> str:
    """The file of a stage's scores."""
    return f"{EVALUATION}/{stage}.json"


def answers_name(stage: str, split: str, kind: str = GREEDY) -> str:
    """The file of a split's answers after a stage."""
    folder = EVALUATION if kind == GREEDY else f"{EVALUATION}/{kind}"
    return f"{folder}/{stage}-{split}.jsonl"


def partial_name(kind: str, stage: str, split: str) -> str:
    """The file of a split's answers in an evaluation that has not ended."""
    return f"{EVALUATION}/{PARTIAL}/{kind}-{stage}-{split}.jsonl"
