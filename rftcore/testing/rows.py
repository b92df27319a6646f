"""A dataset in memory, for tests."""

from collections.abc import Sequence

from rftcore.types import Sample


class Rows:
    """A dataset of the given samples by split: `Rows(sft=[...], val=[...])`."""

    def __init__(self, **splits: Sequence[Sample]) -> None:
        self._splits = splits

    @property
    def splits(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self._splits)

    def size(self, split: str) -> int:
        """How many samples a split has."""
        return len(self._splits[split])

    def sample(self, split: str, index: int) -> Sample:
        """One of them."""
        return self._splits[split][index]
