"""A run ends with its report, and a fault of the report costs no result."""

import json
import re

import pytest
from click.testing import CliRunner

import rftcore as rft
from rftcore import cli

pytestmark = pytest.mark.slow
BLOCK = r'<script type="application/json" id="data">(.*?)</script>'
SMALL = ("--set", "evaluation.splits=[val]", "--set", "evaluation.samples.val=2")


def train(folder, *options):
    words = ["train", "--task", "counting", "--smoke", "--out", str(folder), *options]
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_run_ends_with_its_report(tmp_path):
    printed = train(tmp_path / "run")
    run = rft.load_run(tmp_path / "run")
    page = run.path / "report.html"
    data = json.loads(re.search(BLOCK, page.read_text(), re.S)[1])
    [shown] = data["runs"]
    summary = json.loads((run.path / "summary.json").read_text())
    answers = [row for score in run.scores for row in run.answers(score["stage"], score["split"])]

    assert printed.splitlines()[-1] == f"report: {page}"
    gains = [{k: v for k, v in gain.items() if k != "name"} for gain in shown["gains"]]
    key = lambda gain: (gain["since"], gain["split"])  # noqa: E731
    assert sorted(gains, key=key) == sorted(summary["gains"], key=key)
    assert {row["stage"]: row["splits"] for row in shown["scores"]} == summary["scores"]
    texts = [row["completion"] for row in data["rows"]]
    assert texts == [row.completion for row in [*answers, *run.rollouts()]]
    assert data["notes"] == []
    assert len({sample for _, sample, _ in data["pictures"]}) == len(data["samples"])
    assert run.report(tmp_path / "again.html").read_text()[:99] == page.read_text()[:99]


def test_a_run_without_a_report_has_none(tmp_path):
    printed = train(tmp_path / "run", "--paradigm", "zero-shot", *SMALL, "--set", "report=false")

    assert not (tmp_path / "run" / "report.html").exists()
    assert "report:" not in printed


def test_a_fault_of_the_report_is_a_warning(tmp_path, monkeypatch, logged):
    monkeypatch.setattr("rftcore.pipeline.summary.write_report", lambda *_, **__: 1 / 0)
    printed = train(tmp_path / "run", "--paradigm", "zero-shot", *SMALL)

    assert (tmp_path / "run" / "summary.json").exists()
    assert "the report was not written: ZeroDivisionError" in printed + logged.text
    assert f"`rft report {tmp_path / 'run'}` tries again" in printed + logged.text
