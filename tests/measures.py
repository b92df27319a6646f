"""Print measures of the code: `python tests/measures.py [FOLDER]`, of this checkout by default.

Not a test: no measure has a limit here. To compare with an older commit:

    git worktree add /tmp/before COMMIT
    python tests/measures.py /tmp/before
"""

import ast
import io
import re
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LONG = 250  # lines of a module
# personified code and names that are not the field's
WORDS = (
    *("said", "says", "told", "asked", "asks", "stands", "nobody", "mend"),
    *("picture", "pictures", "refused", "refusal", "refuse", "refuses"),
)


def python_files(folder: Path) -> list[Path]:
    """The Python files below a folder, without the templates of `rft new`."""
    return sorted(f for f in folder.rglob("*.py") if "templates" not in f.parts)


def functions(files: Iterable[Path]) -> Iterator[ast.FunctionDef]:
    """Every function and method."""
    for file in files:
        yield from (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, FUNCTIONS))


def body_lines(function: ast.FunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def returns_any(function: ast.FunctionDef) -> bool:
    """Whether the annotation of what it returns is `Any`."""
    return function.returns is not None and ast.unparse(function.returns) == "Any"


def length(file: Path) -> int:
    """Lines of a file."""
    return len(file.read_text().splitlines())


def lines_of(files: Iterable[Path]) -> tuple[int, int]:
    """How many lines have a comment, and how many have code."""
    comments, code = 0, 0
    for file in files:
        rows: dict[int, set[int]] = {}
        for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
            rows.setdefault(token.start[0], set()).add(token.type)
        layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        kinds = [row - layout - {tokenize.ENDMARKER} for row in rows.values()]
        comments += sum(tokenize.COMMENT in row for row in kinds)
        code += sum(bool(row - {tokenize.COMMENT}) for row in kinds)
    return comments, code


def words(files: Iterable[Path]) -> Counter[str]:
    """How often each of `WORDS` occurs, in names too."""
    found = Counter(
        word.lower() for f in files for word in re.findall(r"[A-Za-z][a-z]+", f.read_text())
    )
    return Counter({word: found[word] for word in WORDS if found[word]})


def entries(package: Path) -> int:
    """Modules and packages at the top level of a package, without its `__init__`."""
    modules = {f.stem for f in package.glob("*.py")} - {"__init__"}
    return len(modules | {f.parent.name for f in package.glob("*/__init__.py")})


def report(root: Path) -> Iterator[str]:
    """One line per measure."""
    core, nano = python_files(root / "rftcore"), root / "plugins" / "rft-nano" / "src"
    plugins = [f for folder in (root / "plugins").glob("*/src") for f in python_files(folder)]
    for name, files in (("rftcore", core), ("plugins", plugins)):
        sizes = sorted(map(body_lines, functions(files)))
        p95 = statistics.quantiles(sizes, n=20, method="inclusive")[-1]
        median = statistics.median(sizes)
        yield f"{name}: functions, median / p95 / max lines: {median:g} / {p95:g} / {sizes[-1]}"
        yield f"{name}: functions: {len(sizes)}"
        lengths = sorted(map(length, files))
        yield f"{name}: modules, median / max lines: {statistics.median(lengths):g} / {lengths[-1]}"
        yield f"{name}: modules over {LONG} lines: {sum(n > LONG for n in lengths)} of {len(files)}"
        comments, code = lines_of(files)
        yield f"{name}: lines with a comment per line of code: {comments / code:.3f} ({code} lines)"
    yield f"rftcore: entries at top level: {entries(root / 'rftcore')}"
    yield f"rftcore: functions returning Any: {sum(map(returns_any, functions(core)))}"
    yield f"rft-nano: lines of the installed plugin: {sum(map(length, python_files(nano)))}"
    pages = [f for f in (root / "docs").rglob("*.md") if "log" not in f.parts]
    for name, files in (("rftcore", core), ("docs", [*pages, root / "README.md"])):
        found = words(files)
        shown = ", ".join(f"{word} {count}" for word, count in found.most_common())
        yield f"{name}: words to avoid: {found.total()} ({shown})"


if __name__ == "__main__":
    print(*report(Path(*sys.argv[1:]) if sys.argv[1:] else Path(__file__).parent.parent), sep="\n")
