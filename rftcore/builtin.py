"""What the core itself offers, through the door that every plugin uses."""

from collections.abc import Mapping

from rftcore.hookspecs import hookimpl
from rftcore.types import DatasetFactory, ParserFactory, Reward, RewardFactory


@hookimpl
def rft_datasets() -> Mapping[str, DatasetFactory]:
    from rftcore import datasets

    return {"jsonl": datasets.JsonlDataset}


@hookimpl
def rft_parsers() -> Mapping[str, ParserFactory]:
    from rftcore import parsers

    return {"integer": parsers.Integer, "number": parsers.Number, "choice": parsers.Choice}


@hookimpl
def rft_rewards() -> Mapping[str, RewardFactory]:
    from rftcore import rewards

    def exact() -> Reward:
        """1 if the answer equals gold, else 0."""
        return rewards.exact

    def tags() -> Reward:
        """1 if the completion is one think block and then one answer block, else 0."""
        return rewards.tags

    return {"exact": exact, "tags": tags, "tolerance": rewards.tolerance}
