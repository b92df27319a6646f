"""A model behind an OpenAI-compatible endpoint: completions by HTTP, as those of a policy.

Requests run at once up to a bound, and are repeated after errors that pass. Each response is
kept in a file as it comes, so a repeated evaluation requests only what has no response yet.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rftcore import jsontext
from rftcore.completions import Size
from rftcore.errors import ModelError, one_line
from rftcore.models.completions import Completion, Draw
from rftcore.models.responses import Responses
from rftcore.types import Prompt

logger = logging.getLogger(__name__)

KEY = "OPENAI_API_KEY"
REPEATED = (408, 409, 425, 429)  # and every status from 500
FATAL = (401, 403, 404, 405)  # the same for every request
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Settings:
    """How an endpoint is queried.

    url: up to `/v1`. concurrency: most requests at once. tries: of one request, the first
    included. backoff_s: the wait before the second try; each further one is twice as long, with
    a random part, or the server's `Retry-After`. responses: a file that keeps them.
    """

    url: str
    concurrency: int = 8
    tries: int = 6
    timeout_s: float = 120.0
    backoff_s: float = 1.0
    responses: Path | None = None


class Endpoint:
    """A model that is queried by HTTP. Use it as a context manager.

    failed: how many requests had no answer after all tries. asked: how many were sent, further
    tries included.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        import httpx2

        if not settings.url.startswith(("http://", "https://")):
            raise ModelError(
                f"--url {settings.url!r}: give the endpoint up to /v1, such as "
                "http://localhost:8000/v1"
            )
        key = os.environ.get(KEY)
        self.source, self._settings = model, settings
        self.failed = self.asked = 0
        self._said = False
        self._lock = threading.Lock()
        self._known = Responses(settings.responses)
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=settings.timeout_s,
            limits=httpx2.Limits(max_connections=settings.concurrency),
        )

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def seen_size(self, size: Size) -> None:
        """The size at which the model sees an image is not known."""

    def opening(self, prompt: Prompt) -> str:
        """A completion of an endpoint is whole: nothing is open where it begins."""
        return ""

    def complete(
        self, prompts: Sequence[Prompt], max_new_tokens: int, draw: Draw | None = None
    ) -> list[Completion]:
        """One completion per prompt. One without an answer has no text, and the reason as `error`.

        Raises: `ModelError` if the endpoint refuses every request: a wrong key, model or address.
        """
        bodies = [self._body(each, max_new_tokens, draw, at) for at, each in enumerate(prompts)]
        with ThreadPoolExecutor(self._settings.concurrency) as pool:
            try:
                return list(pool.map(self._one, bodies))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _body(
        self, prompt: Prompt, max_new_tokens: int, draw: Draw | None, at: int
    ) -> dict[str, Any]:
        images = [
            {"type": "image_url", "image_url": {"url": data_url(image.open())}}
            for image in prompt.images
        ]
        content = [*images, {"type": "text", "text": prompt.text}]
        how = {"temperature": 0.0} if draw is None else {"temperature": draw.temperature}
        if draw is not None:
            how["seed"] = (draw.seed + at) % 2**31
        return {
            "model": self.source,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": max_new_tokens,
            **how,
        }

    def _one(self, body: Mapping[str, Any]) -> Completion:
        known = self._known.get(body)
        if known is not None:
            return known
        reason = ""
        for number in range(self._settings.tries):
            if number:
                self._say_once(reason)
                time.sleep(self._wait(number, reason))
            found, reason = self._try(body)
            if found is not None:
                self._known.add(body, found)
                return found
            if not reason.startswith(_AGAIN):
                break
        with self._lock:
            self.failed += 1
        return Completion("", 0, clipped=False, error=reason.removeprefix(_AGAIN))

    def _say_once(self, reason: str) -> None:
        """Log what the first further try waits for; those after it are in the notes at the end."""
        with self._lock:
            said, self._said = self._said, True
        if not said:
            settings = self._settings
            logger.warning(
                "%s: %s; each request is tried up to %d times, after waits of at most %.0f s",
                settings.url,
                reason.removeprefix(_AGAIN).partition(_AFTER)[0],
                settings.tries,
                min(LONGEST_WAIT_S, settings.backoff_s * 2 ** (settings.tries - 2)),
            )

    def _try(self, body: Mapping[str, Any]) -> tuple[Completion | None, str]:
        """The completion, or the reason why there is none; it begins with `_AGAIN` if it passes."""
        import httpx2

        with self._lock:
            self.asked += 1
        url = f"{self._settings.url.rstrip('/')}/chat/completions"
        try:
            response = self._client.post(url, json=body)
        except httpx2.TransportError as error:
            return None, f"{_AGAIN}{type(error).__name__}: {one_line(error)}"
        status = response.status_code
        if status == 200:
            return _read(response.text)
        reason = f"HTTP {status}: {' '.join(response.text.split())[:200]}"
        if status in FATAL:
            raise ModelError(
                f"{url} refuses every request for model {self.source!r} ({reason}): check the "
                f"address, the model's name and {KEY} in the environment"
            )
        if status in REPEATED or status >= 500:
            after = response.headers.get("retry-after", "")
            return None, f"{_AGAIN}{reason}" + (f"{_AFTER}{after}" if after.isdigit() else "")
        return None, reason

    def _wait(self, number: int, reason: str) -> float:
        """Seconds before a further try."""
        after = reason.rpartition(_AFTER)
        if after[1]:
            return min(LONGEST_WAIT_S, float(after[2]))
        longest = min(LONGEST_WAIT_S, self._settings.backoff_s * 2 ** (number - 1))
        return float(longest * random.uniform(0.5, 1.0))


_AGAIN, _AFTER = "try again: ", " retry-after="


def data_url(image: Any) -> str:
    """A decoded image as a PNG in a data URL: the pixels that every model is shown."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _read(text: str) -> tuple[Completion | None, str]:
    """The completion of a response. What is not one may be right at the next try."""
    try:
        answer = jsontext.loads(text)
        choice, used = answer["choices"][0], answer.get("usage") or {}
        completion = Completion(
            str(choice["message"]["content"] or ""),
            int(used.get("completion_tokens", 0)),
            clipped=choice.get("finish_reason") == "length",
            read=int(used.get("prompt_tokens", 0)),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        return None, f"{_AGAIN}not a chat completion: {one_line(error)}"
    return completion, ""
