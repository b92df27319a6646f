"""The HTML file: our style and script, and all other text as data that nothing executes.

The Content-Security-Policy names the hashes of the style and of the script, so nothing else runs
even if it were markup, and nothing is loaded. The data is in blocks of type application/json, in
which `<`, `>` and `&` are escaped: no text in it can end the block.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib import resources
from typing import Any

from rftcore import jsontext

SCRIPTS = ("text.js", "charts.js", "overview.js", "answers.js", "detail.js", "main.js")
_PLACE = re.compile(r"\{\{(\w+)\}\}")
# What HTML gives a meaning to, and what a reader of the source would not see or see displaced.
_ESCAPED = re.compile(
    "[<>&\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


def page(title: str, data: object, images: object) -> str:
    """The whole file. data, images: what its two blocks contain, as plain values."""
    style, script = _file("style.css"), "\n".join(map(_file, SCRIPTS))
    parts = {
        "policy": policy(style, script),
        "title": html.escape(title),
        "style": style,
        "data": block(data),
        "images": block(images),
        "script": script,
    }
    return _PLACE.sub(lambda found: parts[found[1]], _file("page.html"))


def block(value: Any) -> str:
    """A value as JSON that is safe in a script element of HTML."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", jsontext.dumps(value))


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy: our script, our style, images of the page itself; no more."""
    rules = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _file(name: str) -> str:
    text = resources.files("rftcore.reports").joinpath("page", name).read_text(encoding="utf-8")
    return text.strip("\n")
