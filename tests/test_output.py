"""With `--json`, standard output is JSON alone, whatever plugins and their processes print."""

import json
from pathlib import Path

import click
import pytest

from rftcore.cli import main, output
from tests.forked import Command

TASK = f"{Path(__file__).parent}/cases/printing_task.py:numbers"


def flags(group=main):
    for command in (group.get_command(None, name) for name in group.list_commands(None)):
        if isinstance(command, click.Group):
            yield from flags(command)
        else:
            named = (option for option in command.params if "--json" in option.opts)
            yield from ((command.name, option) for option in named if option.is_flag)


def test_every_flag_for_json_sets_standard_output_apart():
    found = list(flags())

    assert len(found) > 10
    assert {option.callback for _, option in found} == {output._set_apart}


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "show", "--task", TASK, "--id", "val-3", "--json"),
        ("data", "guess", "--task", TASK, "--json"),
        ("plugins", "info", TASK, "--json"),
        ("plan", "--task", TASK, "--model", "toy", "--json"),
    ],
    ids=lambda each: " ".join(each[:2]),
)
def test_what_a_plugin_prints_is_not_in_the_json(arguments):
    code, out, err = Command(*arguments).end()

    assert code == 0, err
    json.loads(out)
    assert "noise" in err


def test_what_a_reward_prints_in_its_process_is_not_in_the_json(tmp_path):
    rows = [{"completion": f"<answer>{n}</answer>", "gold": "2"} for n in range(3)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, err = Command("score", TASK, tmp_path / "rows.jsonl", "--json").end()

    assert code == 0, err
    assert [row["rewards"]["accuracy"] for row in json.loads(out)["rows"]] == [0, 0, 1]
    assert err.count("noise") > 3
