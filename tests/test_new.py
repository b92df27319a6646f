"""`rft new`: what it writes works before a line of it is changed, and nothing is overwritten."""

import ast
import importlib.util
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from rftcore import prompts
from rftcore.cli import main
from rftcore.datasets import checks, slices
from rftcore.errors import PluginError
from rftcore.scaffold import (
    KINDS,
    TASKS,
    Project,
    check_free,
    check_name,
    write_file,
    write_package,
)
from rftcore.scoring import Scorer
from tests.commands import rft

LAYERS = {f"{template}-{n}": layers for (template, n), layers in TASKS.items()} | KINDS
HAS_LAWS = importlib.util.find_spec("rftcore.testing") is not None


def project(template: str) -> Project:
    return Project(f"new-{template}", LAYERS[template])


def install(folder: Path, name: str) -> None:
    """What pip leaves beside an editable installation's source."""
    info = folder / "src" / f"rft_{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: rft-{name}\nVersion: 0.1.0\n")
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"{key} = {value}" for key, value in points["rft"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[rft]", *lines]))


def run(*command: object, sources: list[Path] | None = None) -> None:
    path = os.pathsep.join([*map(str, sources or []), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of every kind, by template."""
    top = tmp_path_factory.mktemp("packages")
    for template in LAYERS:
        write_package(project(template), top / template)
        install(top / template, project(template).name)
    return {template: top / template for template in LAYERS}


def test_every_package_passes_its_own_tests(packages):
    tests = [file for p in packages.values() for file in p.glob("tests/test_[!l]*.py")]
    sources = [folder / "src" for folder in packages.values()]
    settings = packages["counting-1"] / "pyproject.toml"
    quick = ("-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-c", settings)

    assert len(tests) == len(packages) + 2  # the free-form ones have two
    run("pytest", *quick, *tests, sources=sources)


@pytest.mark.skipif(not HAS_LAWS, reason="rftcore.testing is not there")
@pytest.mark.parametrize(
    "names", [["counting-1", "reward"], pytest.param([*LAYERS], marks=pytest.mark.long)]
)
def test_every_package_obeys_the_laws(names, packages):
    laws = [packages[name] / "tests" / "test_laws.py" for name in names]
    sources = [packages[name] / "src" for name in names]
    settings = packages["counting-1"] / "pyproject.toml"

    run("pytest", "-q", "--import-mode=importlib", "-c", settings, *laws, sources=sources)


@pytest.mark.parametrize("name", ["a", "a-name-as-long-as-names-may-be"])
def test_what_is_written_is_clean_whatever_its_name(name, tmp_path):
    for template in LAYERS:
        write_package(Project(name, LAYERS[template]), tmp_path / template)
    write_file(Project(name, ()), tmp_path / "counting-1" / "single.py")

    run("ruff", "check", "--no-cache", tmp_path)
    run("ruff", "format", "--check", "--no-cache", tmp_path)


@pytest.mark.long
def test_what_is_written_is_typed(packages, tmp_path):
    write_file(project("counting-1"), tmp_path / "single.py")
    sources = [folder / "src" for folder in packages.values()]

    run("mypy", "--strict", "--cache-dir", tmp_path / "cache", *sources, tmp_path / "single.py")


@pytest.mark.slow
def test_a_package_installs_with_pip_and_the_loader_finds_it(tmp_path):
    pytest.importorskip("hatchling", reason="pip builds with it")
    write_package(Project("pip-me", TASKS["counting", 1]), tmp_path / "source")
    target = ("--target", tmp_path / "site")
    run("pip", "install", "-q", "--no-deps", "--no-build-isolation", *target, tmp_path / "source")
    listing = [sys.executable, "-m", "rftcore.cli", "plugins", "list"]
    path = os.pathsep.join([str(tmp_path / "site"), *sys.path])
    done = subprocess.run(
        listing, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )

    assert "rft-pip-me" in done.stdout


@pytest.fixture
def tasks(packages, fakes, monkeypatch, tmp_path) -> Iterator:
    """Every task that a template makes, through the loader's door."""
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    plugins = {}
    for template in LAYERS:
        monkeypatch.syspath_prepend(packages[template] / "src")
        plugins[f"rft-new-{template}"] = import_module(f"rft_{project(template).module}")
    catalogue = fakes.load(plugins)
    assert catalogue.failures == []
    return {f"{t}-{n}": (catalogue.task(f"new-{t}-{n}"), n) for t, n in TASKS}


def test_a_task_has_valid_samples_with_the_requested_number_of_images(tasks):
    for task, images in tasks.values():
        parts = [slices.take(task, split, 12) for split in task.dataset.splits]
        checks.check(task, parts, progress=False)

        assert {len(sample.images) for part in parts for sample in part} == {images}
        assert [s for s in task.dataset.splits if s.startswith("ood-")]


def test_what_sft_teaches_earns_every_reward_of_a_task(tasks):
    for task, _ in tasks.values():
        samples = list(slices.take(task, "sft", 12))
        scores = Scorer(task).score([prompts.sft_target(s) for s in samples], samples)

        assert {score.total for score in scores} == {sum(t.weight for t in task.rewards.values())}


@pytest.mark.parametrize("template", LAYERS)
def test_nothing_of_the_template_is_left(template):
    for path, text in project(template).files().items():
        assert "my-task" not in path + text
        assert "my_task" not in path + text
        if path.endswith(".py"):
            ast.parse(text)


@pytest.mark.parametrize("template", LAYERS)
def test_a_package_has_all_that_a_package_needs(template):
    files = project(template).files()
    facts = tomllib.loads(files["pyproject.toml"])["project"]
    core = next(r for r in map(Requirement, facts["dependencies"]) if r.name == "rftcore")

    assert core.specifier.contains(metadata.version("rftcore"))
    assert ("pillow>=11" in facts["dependencies"]) == ("import Image" in "".join(files.values()))
    assert facts["entry-points"]["rft"] == {f"new-{template}": f"rft_{project(template).module}"}
    wanted = {"README.md", ".gitignore", ".github/workflows/test.yml", "tests/test_laws.py"}
    assert wanted <= files.keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My_Task", "Did you mean 'my-task'"),
        ("rft-cubes", "Did you mean 'cubes'"),
        ("3d-cubes", "Did you mean 'd-cubes'"),
        ("cubes--red", "Did you mean 'cubes-red'"),
        ("cubes-", "Did you mean 'cubes'"),
        ("../cubes", "Did you mean 'cubes'"),
        ("", "letters, digits and single dashes"),
        ("rft", "letters, digits and single dashes"),
        ("würfel", "letters, digits and single dashes"),
        ("c" * 31, "30 or fewer"),
    ],
)
def test_a_name_that_pip_or_python_rejects_is_an_error(name, expected):
    with pytest.raises(PluginError, match=expected):
        check_name(name)


@pytest.mark.parametrize("name", ["cubes", "class", "import", "red-cubes-2"])
def test_a_name_may_be_a_keyword_since_a_module_has_a_prefix(name):
    check_name(name)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("task", "counting", "belongs to rft itself"),
        ("task", "scenes", "belongs to rft itself"),
        ("parser", "integer", "rftcore 1.0 offers a parser"),
        ("task", "numbers", "good 1.0 offers a task"),
        ("task", "taken", "there is already a module rft_taken"),
        ("task", "new-counting-1", "rft-new-counting-1 0.1.0 is installed"),
    ],
)
def test_a_name_that_is_taken_is_an_error(
    kind, name, expected, fakes, packages, monkeypatch, tmp_path
):
    (tmp_path / "rft_taken.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(packages["counting-1"] / "src")
    catalogue = fakes.load({"good": fakes.tasks(numbers=fakes.numbers)})

    with pytest.raises(PluginError, match=expected):
        check_free(kind, name, catalogue)
    check_free("task", "integer", catalogue)  # a task may have a parser's name


@pytest.fixture
def here(tmp_path, monkeypatch, fakes):
    """An empty folder to work in, and no plugins but the core's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RFT_PLUGINS", "")
    return tmp_path


@pytest.mark.parametrize("what", ["a file", "a folder", "a link that leads nowhere"])
def test_what_is_there_already_stays_as_it_is(what, here):
    place = here / "rft-cubes"
    if what == "a file":
        place.write_text("mine")
    elif what == "a folder":
        place.mkdir()
    else:
        place.symlink_to(here / "nowhere")
    done = rft("new", "task", "cubes")

    assert done.exit_code == 2
    assert "already exists" in done.stderr
    assert list(here.rglob("*")) == [place]


def test_a_package_is_written_whole_or_not_at_all(here, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    done = rft("new", "parser", "cubes", "--out", "deep/cubes")

    assert done.stderr == "error: deep/cubes: No space left on device\n"
    assert [path.name for path in here.rglob("*")] == ["deep"]


def understood(line: str) -> bool:
    words, command = shlex.split(line)[1:], main
    while isinstance(command, click.Group):
        context, word = click.Context(command), words.pop(0)
        command = command.get_command(context, word)
    command.make_parser(click.Context(command)).parse_args(words)
    return True


@pytest.mark.parametrize(
    "arguments",
    [
        ["task", "cubes"],
        ["task", "cubes", "--template", "choice", "--images", "2", "--out", "my place/cubes"],
        ["task", "cubes", "--single-file"],
        ["parser", "cubes"],
        ["reward", "cubes"],
        ["dataset", "cubes"],
    ],
)
def test_what_comes_next_can_be_copied(arguments, here):
    done = rft("new", *arguments)
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    typed = [line for line in lines if line.startswith("rft ")]

    assert done.exit_code == 0, done.stderr
    assert len(typed) >= 2
    assert all(understood(line) for line in typed if HAS_LAWS or "plugins check" not in line)
    if "--single-file" not in arguments:
        assert (here / shlex.split(lines[0])[1] / "pyproject.toml").is_file()


def test_a_task_in_one_file_works_unchanged(here, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(here / "cache"))
    assert rft("new", "task", "red-cubes", "--single-file").exit_code == 0
    shown = rft("plugins", "info", "./red_cubes.py:task")
    drawn = rft("tasks", "preview", "./red_cubes.py:task", "--out", "grid.png")

    assert "task task: How many triangles are there?" in shown.output
    assert drawn.exit_code == 0, drawn.stderr


@pytest.mark.parametrize("other", [["--template", "choice"], ["--images", "2"]])
def test_one_file_is_offered_for_one_template(other, here):
    done = rft("new", "task", "cubes", "--single-file", *other)

    assert done.exit_code == 2
    assert "only the template counting with one image" in done.stderr


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("SIZES = {", "SIZES = {{"), "red_cubes.py, line"),
        (("import io", "import oi"), "red_cubes.py line 9"),
        (("        chance = self", "        chance = shelf"), "red_cubes.py line 4"),
        (("prompt=rft.prompts", "prompt=rft.promts"), "red_cubes.py line 7"),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_line(change, expected, here):
    rft("new", "task", "red-cubes", "--single-file")
    file = here / "red_cubes.py"
    file.write_text(file.read_text().replace(*change))
    done = rft("tasks", "preview", "./red_cubes.py:task", "--out", "grid.png")

    assert done.exit_code == 2
    assert expected in done.stderr
