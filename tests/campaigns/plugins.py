"""Broken plugins, installed beside a healthy one: each is named, and the healthy one works."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from tests.campaigns.broken_plugins import NAME, PLUGINS, SOUND, VERSION, Broken
from tests.campaigns.forks import LATE, Ended, Server, left_over
from tests.campaigns.frame import Attempts, Verdict

SECONDS = 60.0  # for a command; a hang guard
HEALTHY = "rft-healthy"
# Everything that a plugin shares with the others, shown by `rft tasks show`.
STATE = """
def _state():
    import gc, locale, logging, os, random, signal, sys, warnings
    umask = os.umask(0); os.umask(umask)
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD)]
    logs = logging.root.manager.disable, logging.root.level, len(logging.root.handlers)
    every = [f[0] for f in warnings.filters if f[2] is Warning]
    return repr((os.getcwd(), umask, locale.setlocale(locale.LC_ALL), random.random(), handlers,
                 sys.stdin is None, logs, every, sys.getrecursionlimit(), sys.excepthook.__module__,
                 gc.isenabled())).replace("<", "(")
"""


class Plugins:
    """Installs one broken plugin per case, and runs rft in processes of their own."""

    name = "plugins"
    promise = "a broken plugin is named with its distribution, and a healthy one beside it works"

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """Two installed plugins, and what the commands print with the healthy one alone."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._site, self._work = folder / "site", folder / "work"
            self._work.mkdir()
            healthy = SOUND.replace('"bad"', '"healthy"').replace('"Bad."', "_state()") + STATE
            _install(self._site, HEALTHY, "1.0", healthy)
            self._server = stack.enter_context(Server(path=str(self._site)))
            self._alone = self._rft("tasks", "show", "healthy")
            if self._alone.code or "(" not in self._alone.out:
                raise LookupError(f"a healthy plugin does not work: {self._alone}")
            yield self._attempt

    def _attempt(self, rng: random.Random) -> Verdict:
        name = rng.choice(list(PLUGINS))
        return Verdict(name, *self.verdict(PLUGINS[name]))

    def verdict(self, plugin: Broken) -> tuple[Literal["held", "broken"], str]:
        """Whether rft keeps its promise for a plugin, and what happened if not."""
        info = _install(self._site, NAME, VERSION, plugin.code, plugin.metadata, plugin.files)
        for file, text in plugin.written.items():
            (info / file).write_bytes(text.encode("latin-1"))
        try:
            fault = self._fault(plugin)
        finally:
            for path in self._site.glob("rft_bad*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for extra in plugin.files:
                (self._site / extra).unlink(missing_ok=True)
        return ("broken", fault) if fault else ("held", "")

    def _fault(self, plugin: Broken) -> str:
        if plugin.expected == "doctor":
            return self._doctor_fault(plugin)
        if plugin.expected == "scored":
            return self._reward_fault(plugin)
        listed = self._rft("plugins", "list", "--json")
        if listed.code == LATE:
            return "rft plugins list did not end"
        try:
            rows = json.loads(listed.out)
        except ValueError:
            return f"rft plugins list --json prints no JSON: {listed}"
        states = {row["name"]: row["state"] for row in rows if row["distribution"] == HEALTHY}
        if states != {"healthy": "ok"} and plugin is not PLUGINS["the name of another's task"]:
            return f"the healthy plugin is {states}"
        reasons = [row["reason"] for row in rows if (row["distribution"], row["version"]) == BAD]
        told = any(plugin.reason in reason and reason for reason in reasons)
        if plugin.expected == "broken" and not told:
            return f"rft plugins list gives no reason with {plugin.reason!r}: {reasons}"
        if any(len(reason) > 1000 or "\n" in reason for reason in reasons):
            return f"a reason is no line: {max(reasons, key=len)!r:.200}"
        return self._healthy_fault(plugin) or self._bad_fault(plugin)

    def _healthy_fault(self, plugin: Broken) -> str:
        name = f"{HEALTHY}:healthy" if '"healthy": task' in plugin.code else "healthy"
        shown = self._rft("tasks", "show", name)
        if shown.code or "Traceback" in shown.err or _told(shown.out) != _told(self._alone.out):
            return f"the healthy task differs: {shown}, alone: {self._alone.out[-600:]}"
        warned = NAME in shown.err and VERSION in shown.err and plugin.reason in shown.err
        if plugin.expected == "changed" and not warned:
            return f"no warning names {NAME} {VERSION} and {plugin.reason}: {shown}"
        return ""

    def _bad_fault(self, plugin: Broken) -> str:
        used = self._rft("tasks", "show", f"{NAME}:bad")
        if plugin.expected in ("works", "changed"):
            return f"it does not work: {used}" if used.code or "Traceback" in used.err else ""
        if plugin.expected == "broken" and used.code == 0:  # half of it works
            return ""
        named = NAME in used.err and VERSION in used.err
        if used.code != 2 or "Traceback" in used.err or not named or len(used.err) > 5_000:
            return f"using it is no error that names {NAME} {VERSION}: {used}"
        return ""

    def _doctor_fault(self, plugin: Broken) -> str:
        found = self._rft("plugins", "doctor", env={"RFT_PLUGIN_TIMEOUT": "20"})
        if found.code != 1 or f"\n{NAME}: " not in found.out:
            return f"rft plugins doctor does not name it: {found}"
        shown = self._rft("tasks", "show", "healthy", env={"RFT_PLUGINS": HEALTHY})
        if shown.code or _told(shown.out) != _told(self._alone.out):
            return f"RFT_PLUGINS does not leave it out: {shown}"
        return ""

    def _reward_fault(self, plugin: Broken) -> str:
        """What is wrong where its reward runs in a worker, on three answers."""
        (self._work / "three.jsonl").write_text(THREE)
        scoring = ("isolate_all=true", "workers=1", "timeout_s=2")
        settings = [f"--set=scoring.{setting}" for setting in scoring]
        running = self._server.start(
            "score", f"{NAME}:bad", "three.jsonl", "--json", *settings, within=self._work
        )
        ended = running.end(SECONDS)
        try:
            rows = json.loads(ended.out)["rows"]
        except ValueError:
            return f"rft score --json prints no JSON: {ended}"
        values = [row["rewards"]["accuracy"] for row in rows]
        note = rows[1]["failures"].get("accuracy", "") and rows[1]["notes"]["accuracy"]
        right = [1.0, values[1] if not plugin.reason else None, 1.0]
        if values != right or (plugin.reason and plugin.reason not in note) or len(note) > 1000:
            return f"rewards {values}, and of the second {note!r:.500}"
        return left_over(running)

    def _rft(self, *arguments: str, env: dict[str, str] | None = None) -> Ended:
        limit = {"RFT_PLUGIN_TIMEOUT": "5", **(env or {})}
        return self._server.run(*arguments, within=self._work, seconds=SECONDS, env=limit)


BAD = (NAME, VERSION)
THREE = "".join(
    json.dumps({"completion": f"<think>so</think><answer>{n}</answer>", "gold": str(n)}) + "\n"
    for n in (1, 2, 3)
)


def _told(text: str) -> str:
    """What `rft tasks show` prints, without the qualified name that a clash asks for."""
    return text.replace(f"{HEALTHY}:", "")


def _install(
    site: Path,
    name: str,
    version: str,
    code: str,
    more: str = "",
    files: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """A distribution as pip would leave it; returns the folder of its metadata."""
    module = name.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    needs = "" if "rftcore" in more else "Requires-Dist: rftcore\n"
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}{more}"
    )
    (info / "entry_points.txt").write_text(f"[rft]\n{module} = {module}\n")
    (info / "RECORD").write_text("")
    (site / f"{module}.py").write_text(code)
    for extra, text in files.items():
        (site / extra).write_text(text)
    return info
