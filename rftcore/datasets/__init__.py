"""Datasets in files, and the base of those that are generated.

Files: one of rows, a table (CSV, Parquet, Hugging Face), or a folder in the layout of
Reason-RFT-CoT. Nothing is read
before it is needed, and every fault names the file and the row.
"""

from rftcore.datasets.generated import GeneratedDataset
from rftcore.datasets.jsonl import JsonlDataset
from rftcore.datasets.reason_rft import ReasonRftDataset
from rftcore.datasets.tables import CsvDataset, HfDataset, ParquetDataset

__all__ = [
    "CsvDataset",
    "GeneratedDataset",
    "HfDataset",
    "JsonlDataset",
    "ParquetDataset",
    "ReasonRftDataset",
]
