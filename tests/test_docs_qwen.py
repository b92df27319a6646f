"""docs/qwen.md, followed to the letter with a tiny Qwen2.5-VL in place of the real one."""

import json
import random
import re
import runpy
import shlex
from pathlib import Path

import pytest
from PIL import Image as pil

from rftcore import cli

PAGE = (Path(__file__).parent.parent / "docs" / "qwen.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', PAGE, re.M | re.S))
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    for line in block.splitlines()
]
REAL = "Qwen/Qwen2.5-VL-3B-Instruct"
ROWS = 44  # as many images: the page has three rows


def write_folder(folder, model):
    """The files of the page, with more rows of the same form, and images of several sizes."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.replace(REAL, str(model)), encoding="utf-8")
    shown = json.loads(FILES["parts/parts.json"])
    rows = [{**shown[at % 2], "image": f"{at + 1:04}.jpg"} for at in range(ROWS - 1)]
    rows.append({**shown[2], "image": f"{ROWS:04}.jpg"})
    (folder / "parts" / "parts.json").write_text(json.dumps(rows), encoding="utf-8")
    draw = random.Random(0)
    for at, row in enumerate(rows):
        size = ((640, 480), (200, 150), (1200, 900))[at % 3]  # the last is above the limit
        image = pil.frombytes("RGB", (4, 4), draw.randbytes(48)).resize(size)
        image.save(folder / "parts" / row["image"])


def rft(line, model):
    """The exit code of a command of the page."""
    try:
        cli.main(shlex.split(line.replace(REAL, str(model)))[1:], standalone_mode=False)
    except SystemExit as left:
        return left.code
    return 0


def used(folder, capsys, **replaced):
    """What use.py prints, with some words replaced."""
    code = FILES["use.py"]
    for word, other in replaced.items():
        assert code.count(word) == 1
        code = code.replace(word, other)
    (folder / "use.py").write_text(code, encoding="utf-8")
    capsys.readouterr()
    runpy.run_path(str(folder / "use.py"))
    return capsys.readouterr().out.removesuffix("\n")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # transformers, peft
def test_the_page_on_qwen_does_what_it_says(tiny, tmp_path, monkeypatch, capsys):
    model = tiny("qwen2_5_vl")
    write_folder(tmp_path, model)
    monkeypatch.chdir(tmp_path)
    commands = [line for line in COMMANDS if line.startswith("rft ")]
    assert len(commands) == len(COMMANDS) - 2  # pip's, and
    runpy.run_path("tiny.py")
    for line in commands:
        assert rft(line, model) == 0, line

    run = tmp_path / "runs" / "parts"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["pixel_budget"]["size"]["longest_edge"] == 401408
    assert {"start", "sft", "grpo"} <= {file.stem for file in (run / "evaluation").iterdir()}
    used(tmp_path, capsys)
    task = runpy.run_path("parts.py")["missing_screws"]()
    answers = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    for row in list(answers)[:2]:
        image = task.dataset.sample(row["split"], row["index"]).images[0].key
        image = Path(image).name
        printed = used(tmp_path, capsys, **{"0001.jpg": image, '"auto"': '"float32"'})
        assert printed == row["completion"]


def test_the_prompt_in_the_script_of_the_page_is_the_one_of_the_task(tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    for name in ("parts.py", "parts/parts.json"):
        (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    task = runpy.run_path("parts.py")["missing_screws"]()
    asked = {task.prompt(task.dataset.sample(s, 0)).text for s in task.dataset.splits}
    literal = re.search(r"question = \((.*?)\n\)", FILES["use.py"], re.S)[1]

    assert asked == {eval(f"({literal})")}
