"""The components of the core, registered by the hooks that every plugin uses."""

from collections.abc import Mapping

from rftcore.hookspecs import hookimpl
from rftcore.types import DatasetFactory, ParserFactory, RewardFactory


@hookimpl
def rft_datasets() -> Mapping[str, DatasetFactory]:
    from rftcore import datasets

    return {
        "csv": datasets.CsvDataset,
        "hf": datasets.HfDataset,
        "jsonl": datasets.JsonlDataset,
        "parquet": datasets.ParquetDataset,
        "reason-rft": datasets.ReasonRftDataset,
    }


@hookimpl
def rft_parsers() -> Mapping[str, ParserFactory]:
    from rftcore import parsers

    return parsers.OFFERED


@hookimpl
def rft_rewards() -> Mapping[str, RewardFactory]:
    from rftcore import rewards

    return rewards.OFFERED
