"""The responses of an endpoint, kept in a file: a repeated evaluation requests only the others."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rftcore import jsontext
from rftcore.errors import ModelError
from rftcore.models.completions import Completion


class Responses:
    """The responses of earlier requests, by a hash of the request; kept in a file, if there is one.

    A line that a kill has torn is ignored.
    """

    def __init__(self, file: Path | None) -> None:
        self._file, self._lock = file, threading.Lock()
        self._found: dict[str, Completion] = {}
        if file is None:
            return
        try:
            text = file.read_bytes() if file.exists() else b""
            *lines, torn = text.split(b"\n")
            if torn:
                file.write_bytes(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise ModelError(f"--responses {file}: {error.strerror or error}") from error
        for number, line in enumerate(lines, 1):
            try:
                value = jsontext.loads(line)
                key = value.pop("request")
                self._found[key] = Completion(**value)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ModelError(
                    f"--responses {file} line {number} is not a response that rft kept: name "
                    "another file"
                ) from error

    def get(self, body: Mapping[str, Any]) -> Completion | None:
        """The completion of a request, if it is known."""
        return self._found.get(_hash(body))

    def add(self, body: Mapping[str, Any], completion: Completion) -> None:
        """Keep a completion."""
        key = _hash(body)
        facts = {
            "text": completion.text,
            "tokens": completion.tokens,
            "clipped": completion.clipped,
            "read": completion.read,
        }
        with self._lock:
            self._found[key] = completion
            if self._file is not None:
                with self._file.open("ab") as file:
                    file.write(jsontext.line({"request": key, **facts}).encode())


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
