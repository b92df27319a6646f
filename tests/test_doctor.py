"""`rft plugins doctor`: each thing that can be wrong with an installed plugin is told, by name."""

import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rftcore.cli import main
from rftcore.plugins.doctor import report as doctor

SOUND = """
import rftcore as rft

@rft.hookimpl
def rft_parsers():
    return {"{name}": rft.parsers.Integer}
"""
TASK = """
import rftcore as rft

def task():
    terms = {"accuracy": rft.Term("exakt")}
    data = type("Data", (), {"splits": (), "size": len, "sample": len})()
    return rft.Task("cubes", data, print, "integer", terms)

@rft.hookimpl
def rft_tasks():
    return {"cubes": task}
"""
MISSPELT = "import rftcore as rft\n@rft.hookimpl\ndef rft_task(): return {}\n"
UNMARKED = "def rft_tasks(): return {}\n"
RAISES = (
    "import rftcore as rft\ndef cubes(): raise ValueError('no cubes today')\n"
    "@rft.hookimpl\ndef rft_rewards(): return {'cubes': cubes}\n"
)
# By distribution: its module (None: there is none), lines of its metadata, and what is told.
FAULTS = {
    "misspelt": (MISSPELT, "", "Did you mean 'rft_tasks'"),
    "unmarked": (UNMARKED, "", "rft_tasks is not marked"),
    "silent": ("", "", "has no hook"),
    "raises": ("import io\n1 / 0\n", "", "raises.py line 2"),
    "quits": ("raise SystemExit(3)", "", "SystemExit: 3"),
    "crashes": ("import os; os._exit(7)", "", "ended Python with exit code 7"),
    "heavy": ("import numpy\n" + SOUND, "", "loads numpy"),
    "makes-nothing": (RAISES, "", "no cubes today"),
    "wants": (TASK, "", "no reward named 'exakt'. Did you mean 'exact'"),
    "lost": (None, "", "'rft_lost', which Python does not find"),
    "old-python": (SOUND, "Requires-Python: >=99", "needs Python >=99"),
    "far-core": (SOUND, "Requires-Dist: rftcore>=99", "needs rftcore>=99, and"),
    "no-core": (SOUND, "-", "does not declare a dependency on rftcore"),
    "missing": (SOUND, "Requires-Dist: no-such-thing>=2", "no-such-thing>=2, which is not inst"),
    "unreadable": (SOUND, "Requires-Dist: ???", "a dependency cannot be read"),
    "like-ours": (
        SOUND.replace("{name}", "integer"),
        "",
        "offered by another distribution, or reserved",
    ),
    "first": (SOUND.replace("{name}", "same"), "", "parser 'same' is also offered"),
    "second": (SOUND.replace("{name}", "same"), "", "parser 'same' is also offered"),
}


def install(top: Path, name: str, module: str | None, lines: str = "", version: str = "1") -> Path:
    """What pip leaves of a plugin; returns the folder of its metadata."""
    python = f"rft_{name.replace('-', '_')}"
    if module is not None:
        (top / f"{python}.py").write_text(module.replace("{name}", name))
    needs = "" if "rftcore" in lines or lines == "-" else "Requires-Dist: rftcore>=0.1\n"
    info = top / f"{name}-{version}.dist-info"
    info.mkdir()
    facts = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{needs}{lines.strip('-')}\n"
    (info / "METADATA").write_text(facts)
    (info / "entry_points.txt").write_text(f"[rft]\n{name} = {python}\n")
    return info


def examined(top: Path, timeout_s: float = 60.0) -> dict[str, doctor.Checkup]:
    """The plugins of a folder, and the core."""
    dists = [*metadata.distributions(path=[str(top)]), metadata.distribution("rftcore")]
    return {one.distribution: one for one in doctor.examine(dists, timeout_s=timeout_s)}


def told(checkup: doctor.Checkup) -> str:
    return "\n".join(f"{finding.text} -> {finding.next}" for finding in checkup.findings)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> dict[str, doctor.Checkup]:
    """One plugin for each fault, a sound one, and the doctor's report on all."""
    top = tmp_path_factory.mktemp("clinic")
    for name, (module, lines, _) in FAULTS.items():
        install(top, name, module, lines)
    install(top, "sound", SOUND)
    sys.path.insert(0, str(top))
    try:
        return examined(top)
    finally:
        sys.path.remove(str(top))


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_with_a_plugin_is_reported_with_what_to_do(name, clinic):
    [finding] = clinic[name].findings

    assert FAULTS[name][2] in finding.text
    assert finding.next


def test_nothing_is_found_where_nothing_is_wrong(clinic):
    sound = clinic["sound"]

    assert (sound.findings, sound.heavy, sound.requires_core) == ((), (), ">=0.1")
    assert sound.import_s > 0
    assert clinic["rftcore"].findings == ()


@pytest.fixture
def top(tmp_path, monkeypatch):
    """A folder on the path."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def edit(info: Path, source: Path) -> None:
    facts = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(facts))


def test_an_editable_installation_whose_folder_is_gone_is_reported(top, tmp_path):
    edit(install(top, "cubes", SOUND), tmp_path / "gone away")

    assert f"{tmp_path / 'gone away'}, which no longer exists" in told(examined(top)["cubes"])


def test_a_plugin_that_hangs_is_stopped_and_told(top):
    install(top, "cubes", "import time; time.sleep(600)")

    assert "did not load within 1 s" in told(examined(top, timeout_s=1.0)["cubes"])


@pytest.mark.parametrize(("value", "stale"), [("rft_cubes", False), ("rft_balls", True)])
def test_entry_points_that_changed_since_the_installation_are_reported(value, stale, top, tmp_path):
    edit(install(top, "cubes", SOUND), tmp_path)
    text = f'[project]\nname = "cubes"\n[project.entry-points.rft]\ncubes = "{value}"\n'
    (tmp_path / "pyproject.toml").write_text(text)

    assert ("other entry points" in told(examined(top)["cubes"])) == stale


@pytest.mark.parametrize("text", ["", "[project", '[project]\ndynamic = ["entry-points"]\n'])
def test_a_source_without_listed_entry_points_is_not_a_fault(text, top, tmp_path):
    edit(install(top, "cubes", SOUND), tmp_path)
    (tmp_path / "pyproject.toml").write_text(text)

    assert examined(top)["cubes"].findings == ()


def test_a_distribution_that_is_installed_twice_is_reported(top):
    install(top, "cubes", SOUND)
    install(top, "cubes", None, version="2")

    assert "installed 2 times" in told(examined(top)["cubes"])


def test_a_plugin_that_is_left_out_by_rft_plugins_is_examined_too(top, monkeypatch):
    monkeypatch.setenv("RFT_PLUGINS", "nothing-of-the-kind")
    install(top, "cubes", MISSPELT)

    assert "Did you mean 'rft_tasks'" in told(examined(top)["cubes"])


@pytest.mark.parametrize(("found", "code"), [((), 0), (("text", "next"), 1)])
def test_the_exit_code_is_1_if_something_is_wrong(found, code, monkeypatch):
    findings = (doctor.Finding("cubes", *found),) if found else ()
    one = doctor.Checkup("cubes", "1", ">=0.1", 0.002, (), findings)
    monkeypatch.setattr(doctor, "examine", lambda: [one])
    text, as_json = (
        CliRunner().invoke(main, ["plugins", "doctor", *more]) for more in ([], ["--json"])
    )

    assert (text.exit_code, as_json.exit_code) == (code, code)
    assert ("next: next" in text.output) == ("Nothing is wrong" not in text.output) == bool(found)
    assert SimpleNamespace(**json.loads(as_json.output)[0]).import_s == 0.002
