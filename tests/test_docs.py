"""The documentation keeps up: whatever a user can type, set, implement or run into is in it."""

import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

import rftcore
from rftcore import errors, hookspecs
from rftcore.cli import main
from rftcore.config import (
    LoraRecipe,
    Recipe,
    RewardOverride,
    differences,
    load_recipe,
    read_recipe_file,
)
from rftcore.config.recipe import SECTIONS
from rftcore.testing import LAWS, Law
from rftcore.training.field_names import DERIVED, UNSUPPORTED

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
README = ROOT / "README.md"
RECIPES = sorted((ROOT / "examples" / "recipes").glob("*.yaml"))


def commands(group: click.Group = main, name: str = "rft") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def settings() -> set[str]:
    """The dotted name of every setting of our own."""
    rewards = {f"rewards.NAME.{name}" for name in RewardOverride.model_fields}
    below = {
        f"{section}.{name}"
        for section in SECTIONS
        for name in Recipe.model_fields[section].annotation.model_fields
    }
    below |= {f"policy.lora.{name}" for name in LoraRecipe.model_fields}
    return {*Recipe.model_fields} - {*SECTIONS} | rewards | below


def section(page: str, heading: str) -> str:
    """The text of a page under a heading, up to the next of that level."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"docs/{page} has no heading '## {heading}'"
    return found[1]


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every code block in a language."""
    return [
        (str(page.relative_to(ROOT)), block)
        for page in [README, *PAGES]
        for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)
    ]


def typed() -> list[tuple[str, str]]:
    """(page, line) of every `rft` command that a page tells the reader to type."""
    lines = [(page, line) for page, block in blocks("bash") for line in block.splitlines()]
    shown = [(page, line) for page, block in blocks("console") for line in block.splitlines()]
    lines += [(page, line[2:]) for page, line in shown if line.startswith("$ ")]
    return [(page, line) for page, line in lines if line.startswith("rft ")]


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_and_option_is_documented(name: str, command: click.Command) -> None:
    text = section("commands.md", name)
    options = [p.opts[0] for p in command.params if isinstance(p, click.Option)]

    assert [option for option in options if f"`{option}`" not in text] == []


def test_no_documented_command_or_option_is_gone() -> None:
    known = dict(commands())
    for name in re.findall(r"^## (rft .+)$", (DOCS / "commands.md").read_text(), re.M):
        options = {p.opts[0] for p in known[name].params if isinstance(p, click.Option)}

        assert set(re.findall(r"^\| `(--[\w-]+)`", section("commands.md", name), re.M)) <= options


@pytest.mark.parametrize(("page", "line"), typed())
def test_commands_in_the_docs_are_valid(page: str, line: str) -> None:
    words, command = shlex.split(line, comments=True)[1:], main
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))

    command.make_parser(click.Context(command)).parse_args(words)


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("rft_")])
def test_every_hook_is_documented(hook: str) -> None:
    assert f"::: rftcore.hookspecs.{hook}\n" in (DOCS / "hooks.md").read_text()


def test_every_setting_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|.*\|.*\|$", section("recipes.md", "Settings"), re.M)

    assert sorted(rows) == sorted(settings())


def test_every_unsupported_trl_field_is_documented() -> None:
    text = section("recipes.md", "TRL's own fields")

    assert [name for name in (*DERIVED, *UNSUPPORTED) if f"`{name}`" not in text] == []


def test_documented_defaults_are_the_defaults() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", section("recipes.md", "Settings"), re.M)
    told = {name: yaml.safe_load(value) for name, value in rows if ".NAME." not in name}
    recipe = Recipe(task="any").model_dump(mode="json")

    real = {name: recipe[name] for name in recipe if name not in SECTIONS and name != "task"}
    real |= {f"{part}.{name}": value for part in SECTIONS for name, value in recipe[part].items()}
    real |= {f"policy.lora.{name}": value for name, value in LoraRecipe().model_dump().items()}
    assert told == real


def test_every_extra_is_in_the_quickstart() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "quickstart.md").read_text()
    table = page.partition("| Extra |")[2].partition("\n\n")[0]

    named = set(re.findall("`(.*?)`", table))
    assert {*project["optional-dependencies"]} - named == {"dev", "docs"}


def test_every_environment_variable_is_documented() -> None:
    sources = [*ROOT.glob("rftcore/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    named = {name for file in sources for name in re.findall(r'"(RFT_[A-Z]+)"', file.read_text())}
    text = section("commands.md", "Environment")

    assert named
    assert [name for name in named if f"| `{name}` |" not in text] == []


def test_the_table_of_the_api_has_every_public_name_and_no_other() -> None:
    names = re.findall(r"^\| (`rft\..*?) \|", (DOCS / "api" / "index.md").read_text(), re.MULTILINE)

    assert sorted(re.findall(r"`rft\.(\w+)`", " ".join(names))) == rftcore.__all__


@pytest.mark.parametrize("name", [n for n in vars(errors) if n.endswith("Error")])
def test_every_error_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "errors.md").read_text()


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_law_is_documented(law: Law) -> None:
    assert f"| `{law.id}` | {law.title} | {law.why} |" in section("laws.md", "All laws")


def test_no_documented_law_is_gone() -> None:
    assert len(re.findall(r"^\| `", section("laws.md", "All laws"), re.M)) == len(LAWS)


def test_every_recipe_in_the_docs_is_a_recipe(tmp_path: Path) -> None:
    for page, text in blocks("yaml"):
        (tmp_path / "recipe.yaml").write_text(text)

        load_recipe((page, read_recipe_file(tmp_path / "recipe.yaml")))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_to_copy_passes_all_checks(path: Path, tmp_path: Path) -> None:
    from rftcore.plugins import Catalogue
    from rftcore.training import configs, settings_check

    recipe = load_recipe((path.name, read_recipe_file(path)))

    settings_check.check_settings(recipe)
    configs.sft_config(recipe, tmp_path)
    configs.grpo_config(recipe, tmp_path)
    assert path.name.startswith(f"{recipe.task}-")
    assert f"`{path.name}`" in section("recipes.md", "Recipes to copy")
    catalogue = Catalogue.load()
    if recipe.task not in dict(catalogue.names("task")):
        pytest.skip(f"task {recipe.task} is not installed")
    assert catalogue.task_of(recipe).name == recipe.task


def test_the_papers_recipes_differ_where_the_paper_does() -> None:
    papers = {
        p.stem: load_recipe((p.name, read_recipe_file(p))) for p in RECIPES if "qwen" in p.stem
    }
    first = papers["counting-qwen2-vl-2b"]
    allowed = {"task", "model", "task_options.rl", "grpo.num_train_epochs", "rewards"}

    assert len(papers) == 6
    for name, recipe in papers.items():
        changed = {c.partition(".")[0] if "rewards" in c else c for c in differences(first, recipe)}
        assert changed <= allowed, name
        twin = papers[name.replace("-7b", "-2b")]
        assert set(differences(twin, recipe)) <= {"model"}


def test_what_the_readme_makes_is_in_the_makefile() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    used = {
        target
        for page in [README, *PAGES]
        for target in re.findall(r"^make (\w+)", page.read_text(), re.M)
    }

    assert {"train", "test"} <= used <= set(targets)


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text())

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_is_within_reach() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    pages = [page for page in PAGES if page.parent.name != "log"]
    log = [page.name for page in PAGES if page.parent.name == "log"]
    conclusions = (DOCS / "experiments.md").read_text()

    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in pages)
    assert [name for name in log if f"(log/{name}" not in conclusions] == []


def test_every_experiment_of_the_log_has_a_status() -> None:
    for page in DOCS.glob("log/*.md"):
        entries = re.split(r"^## (?=.*\n\n)", page.read_text(), flags=re.M)[1:]
        bare = [entry.splitlines()[0] for entry in entries if "- **Status**: " not in entry]

        assert bare == [], page.name


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_the_python_of_the_docs_runs(page: str, code: str) -> None:
    if "--8<--" not in code and "runs/RUN" not in code:
        exec(compile(f"from __future__ import annotations\n{code}", page, "exec"), {"rft": rftcore})


def named(pattern: str) -> list[tuple[str, str]]:
    """(page, name) of everything in backticks that matches, but for what is no longer there."""
    pages = [README, ROOT / "CONTRIBUTING.md", *PAGES, *ROOT.glob("plugins/*/README.md")]
    return [
        (str(page.relative_to(ROOT)), name)
        for page in pages
        if page.name != "changelog.md" and page.parent.name != "log"
        for name in re.findall(f"`({pattern})`", page.read_text())
    ]


def exists(name: str) -> bool:
    """Whether a dotted name is a module or an attribute in one."""
    try:
        pkgutil.resolve_name(re.sub(r"^rft\.", "rftcore.", name))
    except (ImportError, AttributeError):
        return False
    return True


def test_every_name_of_the_code_in_the_docs_exists() -> None:
    names = named(r"rft(?:core|_\w+)?(?:\.(?!yaml)\w+)+")

    assert names
    assert [(page, name) for page, name in names if not exists(name)] == []


def test_every_test_that_the_docs_name_exists() -> None:
    tests = [file.read_text() for file in ROOT.glob("**/test_*.py") if ".venv" not in file.parts]
    text = "\n".join(tests)
    names = named(r"test_\w+")

    assert names
    assert [(page, name) for page, name in names if f"def {name}(" not in text] == []


def test_every_path_that_the_docs_name_exists() -> None:
    folders = "rftcore|plugins|docs|examples|benchmarks"
    found = named(rf"(?:{folders})/[\w./*-]+")
    paths = [(page, path) for page, path in found if not page.startswith("plugins/")]

    assert paths
    assert [(page, path) for page, path in paths if not any(ROOT.glob(path.rstrip("/")))] == []


def test_the_folders_of_an_install_command_include_all_that_they_require() -> None:
    command = re.search(r"pip install ~/rft (.*)", (DOCS / "quickstart.md").read_text())
    folders = {Path(folder).name for folder in command[1].split()} if command else set()
    projects = (ROOT / f"plugins/{folder}/pyproject.toml" for folder in folders)
    wanted = {
        requirement.partition(">")[0]
        for project in projects
        for requirement in tomllib.loads(project.read_text())["project"]["dependencies"]
    }

    assert folders
    assert {name for name in wanted if name.startswith("rft-")} <= folders
