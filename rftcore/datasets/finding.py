"""A sample by its id, in any split."""

from collections.abc import Iterator, Sequence

from rftcore.datasets.slices import dataset_of, take
from rftcore.errors import DataError, closest
from rftcore.types import Sample, Task

_MANY = 20_000  # ids that are searched for a similar one


def find(task: Task, ids: Sequence[str], split: str | None = None) -> list[tuple[str, Sample]]:
    """The samples with these ids and their splits, in the order of `ids`.

    Without `split`, all splits are searched in order; an id that several have is all of theirs.
    Samples are made until all splits have been searched, their images are not.

    Raises: DataError for an id that no sample has.
    """
    found: dict[str, list[tuple[str, Sample]]] = {name: [] for name in ids}
    seen: list[str] = []
    for name, sample in _samples(task, split):
        if sample.id in found:
            found[sample.id].append((name, sample))
        elif len(seen) < _MANY:
            seen.append(sample.id)
    for name, samples in found.items():
        if not samples:
            where = f"split {split!r}" if split else "the splits"
            example = f" Ids are such as {seen[0]!r}." if seen else ""
            raise DataError(
                f"task {task.name!r}: no sample of {where} has the id {name!r}."
                f"{closest(name, seen) or example}"
            )
    return [sample for samples in found.values() for sample in samples]


def _samples(task: Task, split: str | None) -> Iterator[tuple[str, Sample]]:
    for name in [split] if split else dataset_of(task).splits:
        for sample in take(task, name):
            yield name, sample
