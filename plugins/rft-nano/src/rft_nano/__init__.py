"""The plugin: the models `nano` and `toy`, and the suites `perception` and `words`.

Importing it loads neither torch nor the data of the suites.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from rftcore.hookspecs import hookimpl
from rftcore.types import ModelFactory, SuiteFactory

HERE = Path(__file__).parent
WEIGHTS = HERE / "weights"


def nano() -> Path:
    """The folder of the weights, for `AutoModelForImageTextToText.from_pretrained`."""
    return WEIGHTS


def toy() -> Path:
    """A folder with nano's architecture and random weights, written on first use."""
    from rftcore.cache import cache_folder, keeping

    files = [*sorted(HERE.glob("*.py")), WEIGHTS / "rft.yaml"]
    sources = b"".join(path.read_bytes() for path in files)
    folder = cache_folder("models") / f"toy-{hashlib.sha256(sources).hexdigest()[:16]}"
    if not folder.is_dir():
        from tempfile import TemporaryDirectory

        from rft_nano.model import build_untrained

        with keeping(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder.parent) as temporary:
                whole = build_untrained(Path(temporary) / folder.name)
                try:
                    whole.rename(folder)  # atomic
                except OSError:  # another process has written the same
                    if not folder.is_dir():
                        raise
    return folder


@hookimpl
def rft_models() -> Mapping[str, ModelFactory]:
    """Offer `--model nano` and `--model toy`."""
    return {"nano": nano, "toy": toy}


@hookimpl
def rft_suites() -> Mapping[str, SuiteFactory]:
    """Offer `rft eval MODEL --suite perception` and `--suite words`."""
    from rft_nano.suites import perception, words

    return {"perception": perception, "words": words}
