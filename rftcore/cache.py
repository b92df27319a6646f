"""Where rft keeps what it can make again: pictures, and models that are built on first use."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """`name` in `$RFT_CACHE`, or in the user's cache folder for rft; it need not exist yet."""
    import platformdirs

    return Path(os.environ.get("RFT_CACHE") or platformdirs.user_cache_dir("rft")) / name
