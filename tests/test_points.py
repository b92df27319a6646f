"""One distribution that cannot be read is named, and hides no other."""

from importlib import metadata
from pathlib import Path

import click
import pytest

from rftcore.cli import main
from rftcore.plugins.describe import license_of
from rftcore.plugins.doctor.installed import findings, installed
from rftcore.plugins.doctor.report import examine
from rftcore.plugins.loading import Loaded
from rftcore.plugins.points import found
from rftcore.runs.provenance import provenance
from tests.commands import rft

SOUND = "[rft]\ngood = json\n"


@pytest.fixture
def site(tmp_path):
    """Writes distributions, and returns what importlib finds of them."""

    def write(**files):
        for name, (points, about) in files.items():
            info = tmp_path / f"{name}-1.0.dist-info"
            info.mkdir()
            (info / "entry_points.txt").write_bytes(points.encode("latin-1"))
            if about is not None:
                (info / "METADATA").write_text(about.format(name=name))
        # not by finders: setuptools, once imported, has another one
        return [metadata.Distribution.at(info) for info in tmp_path.glob("*.dist-info")]

    return write


ABOUT = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: rftcore\n"


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ("[rft]\nbad = rft-bad\n", "bad = 'rft-bad' names no module. Did you mean 'rft_bad'?"),
        ("[rft]\nbad = \n", "bad = '' names no module"),
        ("[rft]\nbad = my tasks\n", "names no module. Did you mean 'my_tasks'?"),
        ("[rft]\nbad = rft_bad.py:x y\n", "names no module"),
        ("[rft]\nbad\n", "entry_points.txt cannot be read: a line of it"),
        ("[rft]\nbad = b\xe4d\n", "entry_points.txt cannot be read: it is not UTF-8"),
        ("[rft]\nbad = no_such_module\n", "No module named 'no_such_module'"),
        ("[rft]\nbad = json:nothing\n", "nothing"),
    ],
)
def test_a_broken_entry_point_is_named_and_the_others_load(points, told, site, monkeypatch):
    dists = site(bad=(points, ABOUT), good=(SOUND, ABOUT))
    monkeypatch.setattr(metadata, "distributions", lambda: dists)
    loaded = Loaded.load()

    assert [plugin.distribution for plugin in loaded.plugins] == ["good"]
    [failure] = loaded.failures
    assert (failure.plugin.distribution, failure.plugin.version) == ("bad", "1.0")
    assert told in failure.reason
    named = [each.distribution for one in installed(dists) for each in findings(one)]
    assert named == ([] if "json:" in points else ["bad"])  # the doctor imports it for that


@pytest.mark.parametrize(
    ("about", "told"),
    [
        (b"Version: 1.0\n", "has no name"),
        (b"Name: bad\n", "has no version"),
        (b"", "has no name and no version"),
        (None, "has no name and no version"),
        (b"Name: bad\nVersion: 1.0\nSummary: \xe4", "cannot be read: it is not UTF-8"),
    ],
)
def test_a_plugin_whose_metadata_lacks_something_has_the_name_of_its_folder(about, told, site):
    [dist] = site(bad=(SOUND, None))
    folder = Path(str(dist.locate_file("bad-1.0.dist-info")))
    if about is not None:
        (folder / "METADATA").write_bytes(about)
    [plugin] = Loaded.load(found([dist])[0]).plugins
    [finding] = [found for one in installed([dist]) for found in findings(one)]

    assert (plugin.distribution, plugin.version, finding.distribution) == ("bad", "1.0", "bad")
    assert told in finding.text
    [checkup] = examine([dist])
    assert (checkup.version, checkup.requires_core) == ("1.0", "")


def test_a_run_records_a_plugin_whose_metadata_is_not_utf_8(site, tmp_path, monkeypatch):
    [dist] = site(bad=(SOUND, None))
    Path(str(dist.locate_file("bad-1.0.dist-info")), "METADATA").write_bytes(b"Name: bad\n\n\xe4")
    monkeypatch.syspath_prepend(tmp_path)

    assert provenance({"bad": "1.0"})["plugins"] == {"bad": "1.0"}
    assert license_of("bad") == "unknown"


@pytest.mark.parametrize("text", [b"\xff", b"[5]", b"{", b'{"dir_info": {"editable": 1}}'])
def test_what_pip_recorded_of_the_source_may_be_anything(text, site):
    [dist] = site(bad=(SOUND, ABOUT))
    Path(str(dist.locate_file("bad-1.0.dist-info")), "direct_url.json").write_bytes(text)

    assert [one.distribution for one in examine([dist])] == ["bad"]


def test_a_file_that_stops_every_library_is_one_error_that_names_its_distribution(
    site, monkeypatch
):
    dists = site(bad=("[console_scripts]\nbad\n", ABOUT))
    monkeypatch.setattr(metadata, "distributions", lambda **_: dists)

    needing = click.Command("needing", callback=lambda: metadata.entry_points(group="pydantic"))
    monkeypatch.setattr(type(main), "get_command", lambda *_: needing)
    done = rft("needing")

    assert done.exit_code == 2
    assert done.stderr.startswith("error: bad 1.0 in ")
    assert "a line of it is not NAME = MODULE" in done.stderr
    assert "pip uninstall bad" in done.stderr


def test_a_broken_file_of_other_programs_is_left_alone(site):
    points, failures = found(site(other=("[console_scripts]\nx\n", ABOUT), good=(SOUND, ABOUT)))

    assert ({point.name for point in points}, failures) == ({"good"}, [])


@pytest.mark.parametrize("about", [None, "", "Name: x", "\0\xff"])
def test_a_distribution_without_metadata_hides_no_other(about, site):
    dists = site(odd=("[rft]\nodd = string\n", about), good=(SOUND, ABOUT))
    points, failures = found(dists)

    assert {point.name for point in points} == {"good", "odd"}
    assert failures == []
    assert {plugin.name for plugin in Loaded.load(points).plugins} == {"good", "odd"}
    assert len([*map(findings, installed(dists))]) == 2


@pytest.mark.parametrize(
    ("needs", "warned"),
    [("rftcore>=99", True), ("RFTcore<0.1", True), ("rftcore>=0.1", False), ("rftcore", False)],
)
def test_a_plugin_for_another_version_of_the_core_works_with_one_warning(
    needs, warned, site, monkeypatch, logged
):
    monkeypatch.setattr("rftcore.plugins.loading._WARNED", set())
    points, _ = found(site(good=(SOUND, ABOUT.replace("rftcore", needs))))
    plugins = [Loaded.load(points).plugins[0].distribution for _ in range(2)]
    text = f"good 1.0 needs {needs}, and rftcore {metadata.version('rftcore')} is installed: "

    assert plugins == ["good", "good"]
    assert [message.startswith(text) for message in logged.messages] == [True] * warned


@pytest.mark.parametrize(
    "needs", ["???", 'rftcore>=99; extra == "new"', 'rftcore>=99; python_version<"3"']
)
def test_a_requirement_that_does_not_apply_is_no_warning(needs, site, monkeypatch, logged):
    monkeypatch.setattr("rftcore.plugins.loading._WARNED", set())
    points, _ = found(site(good=(SOUND, ABOUT.replace("rftcore", needs))))

    assert Loaded.load(points).plugins
    assert logged.messages == []
