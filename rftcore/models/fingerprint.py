"""The fingerprint of a model: what its folder contains, wherever that is."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rftcore.models.adapters import base_of, is_adapter

PARTS_OF_A_MODEL = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")


def fingerprint(source: str | Path) -> str | None:
    """SHA-256 of the files in a model's folder that decide what it computes; None for a hub name.

    It covers names and contents, and not where the folder is; of an adapter, those of its base too.
    """
    folder = Path(source)
    if not folder.is_dir():
        return None
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in PARTS_OF_A_MODEL and file.is_file() and not file.name.startswith("."):
            with file.open("rb") as handle:
                content = hashlib.file_digest(handle, "sha256").hexdigest()
            whole.update(f"{file.name} {content}\n".encode())
    if is_adapter(folder) and (base := fingerprint(base_of(folder))):
        whole.update(f"base {base}\n".encode())
    return whole.hexdigest()
