"""Measure a model on a suite: fixed questions and greedy answers, independent of any task.

Questions with images are evaluated twice: with their own images and with those of another
sample. A model that ignores its images, and guesses or infers from the text, scores the same.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rftcore import distributed, prompts
from rftcore.datasets.content import content
from rftcore.errors import PluginError, RftError, describe
from rftcore.evaluation.scores import MeasureScore, SuiteScore
from rftcore.evaluation.swapping import swapped
from rftcore.intervals import wilson
from rftcore.models.completions import generate
from rftcore.models.policy import Policy
from rftcore.progress import Bar
from rftcore.types import SUITE_RESERVED, Measure, Sample, Suite

Parts = tuple[int, int]  # of one answer: how many parts are right, of how many
MOST_FAILURES = 10  # failed scores of a measure on one rank; one more is an error


@dataclass(frozen=True)
class SuiteAnswer:
    """The completion for one question of the measure `key`, and how much of it is right.

    If `swapped`, the sample has the images of another. `failure` is the reason if the measure's
    score function failed; `parts` is None then.
    """

    key: str
    swapped: bool
    sample: Sample
    completion: str
    parts: Parts | None
    failure: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready line."""
        right, of = self.parts or (None, None)
        return {
            "measure": self.key,
            "images": "swapped" if self.swapped else "own",
            "id": self.sample.id,
            "question": self.sample.question,
            "gold": self.sample.gold,
            "completion": self.completion,
            "right": right,
            "of": of,
            "failure": self.failure,
        }


def measures_of(suite: Suite, limit: int | None = None) -> dict[str, Measure]:
    """A suite's measures by key, each with its first `limit` samples.

    Raises: `PluginError` if the suite cannot make its measures, or one has no samples.
    """
    with distributed.main_first(), _naming(suite, "making its measures"):
        made = dict(suite.measures())
        taken = {key: replace(each, samples=each.samples[:limit]) for key, each in made.items()}
    if not taken:
        raise PluginError(f"suite {suite.name!r} has no measures")
    for key, measure in taken.items():
        if key in SUITE_RESERVED:
            raise PluginError(
                f"suite {suite.name!r} has a measure {key!r}, but its report uses that key for "
                "something else: choose another"
            )
        if not measure.samples:
            raise PluginError(f"suite {suite.name!r}: measure {key!r} has no samples")
    return taken


def evaluate_suite(
    policy: Policy,
    suite: Suite,
    measures: Mapping[str, Measure],
    *,
    blind: bool = True,
    progress: bool = True,
) -> tuple[SuiteScore, list[SuiteAnswer]]:
    """The scores of greedy completions for all samples of `measures`, and the completions.

    Samples have their own images and then, if `blind`, those of another sample.
    Answers whose score fails are counted separately. Raises: `PluginError` if a measure has
    more than `MOST_FAILURES` of them.
    """
    seen, unseen, found = {}, {}, []
    for key, measure in measures.items():
        answers = _answers(policy, suite, key, measure, progress=progress)
        seen[key] = _score(answers)
        found += answers
        if blind and (other := swapped(measure.samples)):
            shown = replace(measure, samples=other)
            answers = _answers(policy, suite, key, shown, swapped=True, progress=progress)
            unseen[key] = _score(answers)
            found += answers
    return SuiteScore(seen, unseen), found


def measure_score(parts: Sequence[Parts | None]) -> MeasureScore:
    """The score of a measure from its answers' parts; None is an answer whose score failed."""
    known = [each for each in parts if each is not None]
    failed = len(parts) - len(known)
    if not known:
        return MeasureScore(None, None, None, 0, failed)
    right, n = sum(right for right, _ in known), sum(of for _, of in known)
    return MeasureScore(right / n, *wilson(right, n), n, failed)


def fingerprints(measures: Mapping[str, Measure]) -> dict[str, str]:
    """The hash of each measure's samples, with pixels: equal hashes mean equal questions."""
    hashes = {k: [content(s) for s in m.samples] for k, m in measures.items()}
    return {k: hashlib.sha256(b"".join(v)).hexdigest() for k, v in hashes.items()}


def _answers(
    policy: Policy,
    suite: Suite,
    key: str,
    measure: Measure,
    *,
    swapped: bool = False,
    progress: bool,
) -> list[SuiteAnswer]:
    samples, prompt = measure.samples, prompts.direct()
    mine = distributed.shard(len(samples))
    label = f"evaluating {key}" + (", images swapped" if swapped else "")
    answers: list[tuple[str, Parts | None, str]] = []  # without samples: images are not gathered
    with Bar(len(mine), label, "sample", show=progress) as bar:
        for start in range(0, len(mine), suite.batch_size):
            batch = [samples[i] for i in mine[start : start + suite.batch_size]]
            written = generate(policy, [prompt(sample) for sample in batch], suite.max_new_tokens)
            for sample, completion in zip(batch, written, strict=True):
                parts, failure = _scored(suite, measure, sample, completion.text)
                answers.append((completion.text, parts, failure))
                if sum(parts is None for _, parts, _ in answers) > MOST_FAILURES:
                    raise PluginError(
                        f"{failure}. More than {MOST_FAILURES} answers to measure {key!r} could "
                        "not be scored: fix its score function"
                    )
            share = measure_score([parts for _, parts, _ in answers]).value
            bar.update(len(batch), right="-" if share is None else f"{share:.1%}")
    together = zip(samples, distributed.gather(answers, len(samples)), strict=True)
    return [SuiteAnswer(key, swapped, sample, *one) for sample, one in together]


def _score(answers: Sequence[SuiteAnswer]) -> MeasureScore:
    return measure_score([each.parts for each in answers])


def _scored(
    suite: Suite, measure: Measure, sample: Sample, completion: str
) -> tuple[Parts | None, str]:
    """How much of an answer is right, or None and the reason."""
    try:
        return _parts(suite, measure, sample, completion), ""
    except PluginError as error:
        return None, str(error)


def _parts(suite: Suite, measure: Measure, sample: Sample, completion: str) -> Parts:
    with _naming(suite, f"the score of sample {sample.id!r}"):
        right, of = map(operator.index, measure.score(completion, sample.gold))
        if not (0 <= right <= of and of >= 1):
            raise ValueError(f"({right}, {of}) is not how many parts are right, of at least one")
    return right, of


@contextmanager
def _naming(suite: Suite, what: str) -> Iterator[None]:
    """Turn exceptions of a suite's code into errors that name the suite."""
    try:
        yield
    except RftError:
        raise
    except Exception as error:
        raise PluginError(f"suite {suite.name!r}: {what} failed: {describe(error)}") from error
