"""The tables of docs/results.md are those of the committed answers."""

import csv
from pathlib import Path

import pytest

from benchmarks import claims

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "claims"
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").replace("**", "")
COUNTING = sorted(RESULTS.glob("counting*"))


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("line", claims.tables(claims.read(COUNTING)).split("\n"))
def test_each_line_of_counting_follows_from_the_answers(line):
    assert not line or set(line) <= {*"|- "} or line in PAGE


@pytest.mark.parametrize("folder", COUNTING, ids=lambda folder: folder.name)
def test_the_answers_give_the_numbers_of_table_and_claims(folder):
    rows = claims.read([folder])
    found, steps = claims.accuracies(rows), claims.differences(rows)

    for line in lines(folder / "table.csv"):
        share = found[line["row"], line["split"]]
        assert (share.value, share.low, share.high) == pytest.approx(numbers(line, "accuracy"))
    for line in lines(folder / "claims.csv"):
        step = steps[line["other"], line["split"]]
        assert (step.value, step.low, step.high) == pytest.approx(numbers(line, "difference"))


def numbers(line: dict[str, str], name: str) -> tuple[float, float, float]:
    return float(line[name]), float(line["low"]), float(line["high"])


@pytest.mark.parametrize("line", lines(RESULTS / "structure" / "table.csv"))
def test_each_cell_of_structure_is_that_of_the_data(line):
    value, low, high = (f"{100 * each:.1f}" for each in numbers(line, "accuracy"))
    blind = f"{100 * float(line['blind']):.1f}"
    row = next(text for text in structure() if text.startswith(f"| `{line['row']}` |"))

    assert f"| {value} [{low}, {high}], blind {blind} |" in row


def structure() -> list[str]:
    """The lines of the page's part about structure."""
    return PAGE.partition("### Structure")[2].split("\n")


def test_answers_of_the_same_seed_and_of_missing_seeds_are_errors(tmp_path):
    head = "row,seed,split,answers\n"
    (tmp_path / "table.csv").write_text("row,split,seeds,blind\na,test,1,0.5\n")
    for more in ("a,1,test,01\na,1,test,11\n", "a,1,test,01\nb,2,test,01\n", "a,1,test,0-\n"):
        (tmp_path / "answers.csv").write_text(head + more)
        with pytest.raises(ValueError, match=r"seed|unscored"):
            claims.read([tmp_path])
