"""A run folder to report on, and a real browser to open the report in.

Chromium is driven through a pipe (`--remote-debugging-pipe`), without a network or a port. It is
found on the path; without it the tests that need it are skipped.
"""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image as pil

from rftcore import rewards
from rftcore.completions import ScoredCompletion
from rftcore.config import dump_recipe, load_recipe
from rftcore.images import Image
from rftcore.parsers import Integer
from rftcore.plugins import Catalogue
from rftcore.reports import Written, write_report
from rftcore.runs import RunFolder
from rftcore.types import Prompt, Sample, Task, Term

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
PATIENCE_S = 240.0  # for one answer of the browser, on a busy machine
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-default-apps", "--disable-breakpad", "--remote-debugging-pipe"),
)

START = """  # of the browser, with its pipes as file descriptors 3 and 4
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, pipe in enumerate(pipes, 3):
    os.dup2(pipe, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One page of a browser, driven by the DevTools protocol over file descriptors 3 and 4.

    console: errors, warnings and messages; requests: every address that the page asked for.
    """

    def __init__(self, profile: Path) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", START, str(theirs_in), str(theirs_out)),
                *(BROWSER, *OPTIONS, f"--user-data-dir={profile}"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._number = b"", 0
        self._session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __exit__(self, *_: object) -> None:
        os.close(self._to)
        self._process.kill()
        self._process.wait()
        os.close(self._from)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command; events on the way are recorded."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self._record(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._from, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _record(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled":
                self.console.append(json.dumps(params))

    def eval(self, code: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        found = self.call(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(
        self,
        file: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        fragment: str = "",
    ) -> None:
        """Load a file and wait until our script has put it together."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url="about:blank")  # else a new fragment loads nothing
        address = file.absolute().as_uri() + (f"#{fragment}" if fragment else "")
        self.call("Page.navigate", url=address)
        ends = time.monotonic() + PATIENCE_S
        while not self.eval("document.documentElement?.dataset.ready"):
            assert time.monotonic() < ends, self.console
            time.sleep(0.1)

    def key(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 else ""
            )

    def screenshot(self, to: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        to.write_bytes(base64.b64decode(data))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if not BROWSER:
        pytest.skip("no Chromium on the path")
    with Page(tmp_path_factory.mktemp("profile")) as page:
        yield page


BUDGET = {"size": {"height": 8, "width": 12}, "do_resize": True}


def dot(at: int) -> Image:
    """A small image of one color, different for every number."""
    buffer = io.BytesIO()
    pil.new("RGB", (24, 16), (at % 256, at // 256, 90)).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


@dataclass
class Dots:
    """A dataset with an image per sample; `picture` makes it from the index."""

    picture: Callable[[int], Image] = dot
    count: int = 5
    word: str = "Say"
    splits: tuple[str, ...] = ("sft", "rl", "val", "test", "ood-big")

    def size(self, split: str) -> int:
        return self.count

    def sample(self, split: str, index: int) -> Sample:
        question = f"{self.word} {index}."
        return Sample(f"{split}-{index}", question, str(index), images=(self.picture(index),))


def row(split: str, index: int, completion: str = "1", **changed: Any) -> ScoredCompletion:
    """An answer to a sample of `Dots`, right if it is the gold."""
    right = completion == str(index)
    made = ScoredCompletion(
        id=f"{split}-{index}",
        split=split,
        index=index,
        question=f"Say {index}.",
        gold=str(index),
        completion=completion,
        tokens=len(completion),
        clipped=False,
        answer=completion,
        correct=right,
        total=float(right),
        rewards={"accuracy": float(right)},
    )
    return replace(made, **changed)


@dataclass
class World:
    """A task `dots` and runs of it, whose answers a test chooses."""

    folder: Path
    data: Dots = field(default_factory=Dots)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue.load([])
        self.name = self.catalogue.offer_task("dots", self.task)

    def task(self) -> Task:
        return Task(
            name="dots",
            dataset=self.data,
            prompt=lambda sample: Prompt(sample.question, sample.images),
            parser=Integer(),
            rewards={"accuracy": Term(rewards.exact)},
        )

    def run(
        self,
        answers: dict[str, Sequence[ScoredCompletion]],
        rollouts: Sequence[ScoredCompletion] = (),
        *,
        name: str = "run",
        recipe: dict[str, Any] | None = None,
        **manifest: Any,
    ) -> RunFolder:
        """A folder as a run leaves it. answers: by stage."""
        settings = load_recipe(("test", {"task": self.name, **(recipe or {})}))
        facts = {"pixel_budget": BUDGET, "prompt_example": "Say 0.", **manifest}
        run = RunFolder.create(self.folder / name, facts, dump_recipe(settings))
        for stage, rows in answers.items():
            splits = dict.fromkeys(each.split for each in rows)
            for split in splits:
                run.write_answers(stage, split, [each for each in rows if each.split == split])
            run.write_scores(stage, [score(split) for split in splits])
        for rollout in rollouts:
            run.add_rollout(rollout)
        run.unlock()
        return run

    def report(self, *runs: RunFolder, **options: Any) -> Written:
        return write_report(runs, self.catalogue, progress=False, **options)


def score(split: str) -> dict[str, Any]:
    """A score with the fields that the table shows; its numbers are those of no answer."""
    numbers = {"accuracy": 0.5, "low": 0.4, "high": 0.6, "unparsed": 0.0, "clipped": 0.0}
    return {"split": split, "prompt": "reason", "n": 5, "tokens": 1.0, "rewards": {}, **numbers}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(name="row")
def _row() -> Callable[..., ScoredCompletion]:
    return row
