"""Each module imports only from the rows above it, and the docs show these rows.

Run `python tests/test_layers.py` (`make docs-outputs`) to write the table of
docs/how-it-works.md from `ROWS` and the modules' docstrings.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import rftcore

ROOT = Path(rftcore.__file__).parent
# A module may import from the rows above its own; a folder is one module.
ROWS = (
    ("errors", "regular_files", "usage"),
    (
        "arguments",
        "columns",
        "completions",
        "deadlines",
        "intervals",
        "jsontext",
        "signals",
        "spelling",
        "splits",
    ),
    ("boxes", "cache", "disclosure", "distributed", "meta", "statistics", "tags", "units"),
    ("progress", "runs"),
    ("images",),
    ("types",),
    ("config", "hookspecs", "parsers", "prompts", "rewards"),
    ("models",),
    ("datasets",),
    ("builtin", "plugins"),
    ("scaffold", "scoring"),
    ("rescore", "testing", "tracking", "training"),
    ("evaluation",),
    ("guessing", "reports"),
    ("pipeline",),
    ("comparison", "planning"),
    ("cli",),
)
# ... and never these, although they are above it.
NEVER = {
    "datasets": {"models"},
    "plugins": {"models"},
    "scoring": {"models"},
    "testing": {"models"},
}
HEAVY = {"torch", "transformers", "trl", "accelerate", "datasets"}
SLOW = HEAVY | {
    "PIL",
    "hypothesis",
    "math_verify",
    "matplotlib",
    "mitsuba",
    "numpy",
    "pandas",
    "scipy",
    "sympy",
}
MAY_LOAD_HEAVY = {
    *("models", "tracking", "training", "evaluation", "pipeline", "planning", "distributed"),
}
BUILDS_MODELS = ROOT / "testing" / "families"
PAGE = ROOT.parent / "docs" / "how-it-works.md"
TEMPLATES = ROOT / "scaffold" / "templates"  # packages to be, none of ours
FILES = sorted(f for f in ROOT.rglob("*.py") if not f.is_relative_to(TEMPLATES))


def module_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of all imported modules, and of what is imported from rftcore itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write the full name: a reader then sees the row"
            names = [alias.name for alias in node.names]
            yield from (
                [f"rftcore.{n}" for n in names] if node.module == "rftcore" else [node.module]
            )


def ours(file: Path) -> set[str]:
    found = {name.split(".")[1] for name in imports(parsed(file)) if name.startswith("rftcore.")}
    return found - {module_of(file)}


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def row_of(module: str) -> int:
    return next(i for i, row in enumerate(ROWS) if module in row)


def named(files: list[Path]) -> dict[str, Path]:
    return {str(file.relative_to(ROOT)): file for file in files if file != ROOT / "__init__.py"}


def table() -> str:
    """One line per module, in the order of `ROWS`, with the first sentence of its docstring."""
    lines = ["| Row | Module | Contents |", "|---|---|---|"]
    for number, row in enumerate(ROWS, start=1):
        for module in row:
            file = ROOT / f"{module}.py"
            name = module if file.exists() else f"{module}/"
            file = file if file.exists() else ROOT / module / "__init__.py"
            sentence = ast.get_docstring(parsed(file)).partition("\n\n")[0].replace("\n", " ")
            lines.append(f"| {number} | `{name}` | {sentence.rstrip('.')} |")
    return "\n".join(lines) + "\n"


def test_the_docs_show_the_rows():
    assert table() in PAGE.read_text(encoding="utf-8"), "run `python tests/test_layers.py`"


def test_every_module_is_in_a_row():
    assert {module_of(file) for file in FILES} - {"__init__"} == {m for row in ROWS for m in row}


@pytest.mark.parametrize("file", named(FILES).values(), ids=named(FILES))
def test_a_module_imports_only_from_the_rows_above_it(file):
    module = module_of(file)
    above = {name for row in ROWS[: row_of(module)] for name in row}

    assert ours(file) <= above - NEVER.get(module, set())


@pytest.mark.parametrize("file", named(FILES).values(), ids=named(FILES))
def test_heavy_packages_load_only_where_a_model_is_used(file):
    roots = {name.partition(".")[0] for name in imports(parsed(file))}
    uses_models = module_of(file) in MAY_LOAD_HEAVY or file.is_relative_to(BUILDS_MODELS)
    allowed = HEAVY - {"trl"} if uses_models else set()
    allowed |= {"trl"} if module_of(file) == "training" else set()
    allowed |= {"datasets"} if file == ROOT / "datasets" / "arrow_rows.py" else set()

    assert roots & HEAVY <= allowed


@pytest.mark.parametrize("file", named(FILES).values(), ids=named(FILES))
def test_a_slow_package_is_imported_when_used(file):
    loops = ("cache_name.py", "decode_loop.py", "token_record.py")
    used = (ROOT / "cli" / "preview.py", *(ROOT / "models" / name for name in loops))
    if file in used or module_of(file) in ("testing", "training", "planning"):
        return  # these are themselves imported when used
    top = [n for n in parsed(file).body if isinstance(n, ast.Import | ast.ImportFrom)]
    roots = {name.partition(".")[0] for node in top for name in imports(node)}

    assert not roots & SLOW


@pytest.mark.parametrize(
    "code",
    [
        "import rftcore; dir(rftcore)",
        "from rftcore import Task, Term, Sample, Image, prompts, parsers, rewards, JsonlDataset",
        "from rftcore import ReasonRftDataset",
        "from rftcore import GeneratedDataset, ImageCache, with_options_of",
        "from rftcore.cli import main; main(['--help'], standalone_mode=False)",
        "from rftcore.cli import main; main(['train', '--help'], standalone_mode=False)",
        "from rftcore.cli import main; main(['compare', '--help'], standalone_mode=False)",
        "from rftcore.cli import main; main(['plugins', 'list'], standalone_mode=False)",
        "from rftcore.cli import main; main(['plugins', 'check', '--help'], standalone_mode=False)",
        "from rftcore.cli import main; main(['tasks', 'list'], standalone_mode=False)",
    ],
)
def test_starting_up_loads_nothing_slow(code):
    probe = f"{code}\nimport sys; print('loaded:', *sorted({SLOW!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "loaded:"


def texts(tree: ast.Module) -> Iterator[str]:
    """Every string in the code, but for docstrings."""
    bodies = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, bodies) and is_doc(n)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def is_doc(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr) and bool(ast.get_docstring(node))


RUN_FILES = re.compile(
    r"\b(recipe|state|manifest|summary|metrics|rollouts|failures)\.(yaml|jsonl?|txt)|evaluation/"
)


def test_only_the_run_folder_contains_the_names_of_its_files():
    found = {
        (str(file.relative_to(ROOT)), text)
        for file in FILES
        if module_of(file) != "runs" and file != ROOT / "tracking" / "names.py"  # of numbers
        for text in texts(parsed(file))
        if RUN_FILES.search(text)
    }

    assert found == set()


def private_names(tree: ast.AST) -> Iterator[str]:
    """Names with one underscore that are read from an object, by a dot or as a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))
        elif isinstance(node, ast.ImportFrom) and not node.module.startswith("rftcore"):
            yield from (alias.name for alias in node.names)


def defined_names(tree: ast.AST) -> Iterator[str]:
    """Names that the code itself gives to a function, a class, a field or an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if ast.unparse(node.value) in ("self", "made") else []
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_no_private_name_of_a_library_is_used():
    trees = [parsed(file) for file in FILES]
    ours = {name for tree in trees for name in defined_names(tree)}
    used = {n for tree in trees for n in private_names(tree) if re.match(r"_[^_]", str(n))}

    assert used - ours == {"_exit"}  # of os: public, and ends a process without cleaning up


def test_hypothesis_is_imported_by_the_laws_alone():
    users = {module_of(file) for file in FILES if "hypothesis" in set(imports(parsed(file)))}

    assert users == {"testing"}


def test_public_names_are_few_sorted_and_there():
    assert rftcore.__all__ == sorted(rftcore.__all__)
    assert all(getattr(rftcore, name) is not None for name in rftcore.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Tusk'"):
        _ = rftcore.Tusk


def test_functions_are_short():
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [n for file in FILES for n in ast.walk(parsed(file)) if isinstance(n, kinds)]

    assert median(n.end_lineno - n.body[0].lineno + 1 for n in nodes) < 10


if __name__ == "__main__":
    PAGE.write_text(re.sub(r"^\| Row \|.*?(?=^$)", table(), PAGE.read_text(), flags=re.M | re.S))


def modules_imported_by(file: Path) -> set[str]:
    """Modules of rftcore, imported at any place in the file, for types too."""
    known = {dotted(one) for one in FILES}
    found = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in full}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & known) - {dotted(file)}


def dotted(file: Path) -> str:
    parts = ("rftcore", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_imports_itself_by_way_of_others_not_even_for_types():
    imported = {dotted(file): modules_imported_by(file) for file in FILES}

    assert [*TopologicalSorter(imported).static_order()]
