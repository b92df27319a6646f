"""The build, in miniature: painted discs instead of renders, seconds instead of minutes."""

import json
from random import Random

import numpy as np
import pytest
import torch
from rft_nano import perception
from rft_nano.build import Build, arguments, at_least_one, in_passing, share_digits, share_roots
from rft_nano.corpus.augment import Seen
from rft_nano.corpus.scenes import Shown
from rft_nano.corpus.store import Corpus, to_model
from rft_nano.corpus.streams import Scenes
from rft_nano.model import IMAGE_SIZE, build_model, build_processor
from rft_nano.team import Team
from rft_nano.things import Thing

PAINT = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (40, 60, 220), "gray": (60, 60, 60)}
PATIENCE_MIN = 30.0  # steps end the stage, not the clock of a busy machine


def painted(rng):
    """One disc on a light floor."""
    u, v, color = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.choice(sorted(PAINT))
    pixels = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), 170, np.uint8)
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] / IMAGE_SIZE
    pixels[np.hypot(columns - u, rows - v) < 0.08] = PAINT[color]
    return pixels, Shown([Seen(Thing("small", color, "metal", "sphere", u, v), 0.08)])


def corpus(seed, count):
    rng = Random(seed)
    pixels, shown = zip(*(painted(rng) for _ in range(count)), strict=True)
    return Corpus(np.stack(pixels), list(shown))


def exhibits(seed):
    """Painted discs as a stream."""
    return Scenes(corpus(0, 200), seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_small_build_sees_colours_goes_on_after_a_stop_and_exports(tmp_path):
    for steps in (75, 150):  # the second sitting takes up the first
        build = Build(tmp_path, 0, tmp_path / "weights", Team())
        build.see(exhibits, PATIENCE_MIN, batch=16, steps=steps)
    unseen = corpus(1, 64)
    pixels = torch.stack([torch.from_numpy(to_model(p)) for p in unseen.pixels])
    with torch.no_grad():
        said = build.heads(perception.features(build.model, pixels))
    wanted = perception.targets([shown.seen for shown in unseen.facts], [[]] * 64)
    colours = perception.accuracy(said, wanted)["color"]
    build.read(PATIENCE_MIN, lambda: None, written=2, steps=2)
    build.speak(exhibits, 0.02, lambda: None, pictured=2, written=1)
    build.export()

    assert colours > 0.5  # chance: 0.25 of the painted, 0.125 of all
    assert (tmp_path / "weights" / "model.safetensors").exists()


def test_a_stage_of_no_minutes_is_left_out(tmp_path):
    build = Build(tmp_path, 0, tmp_path / "weights", Team())
    build.see(exhibits, 0)

    assert not (tmp_path / "build.log.jsonl").exists()


@pytest.mark.parametrize(("near", "word"), [("cube", "cubes"), ("bus", "buses"), ("red", "Red")])
def test_a_plural_and_a_capital_start_where_their_root_does(near, word):
    processor = build_processor()
    model = build_model(processor)
    share_roots(model, processor.tokenizer)
    table = model.get_input_embeddings().weight
    a, b = (table[processor.tokenizer.get_vocab()[f"▁{w}"]] for w in (near, word))

    assert torch.cosine_similarity(a, b, dim=0) > 0.8


def test_numbers_with_like_digits_start_alike():
    processor = build_processor()
    model = build_model(processor)
    share_digits(model, processor.tokenizer)
    table = model.get_input_embeddings().weight
    a, b, c = (table[processor.tokenizer.get_vocab()[f"▁{n}"]] for n in (137, 138, 250))

    assert torch.cosine_similarity(a, b, dim=0) > 0.4 > torch.cosine_similarity(a, c, dim=0)


@pytest.mark.parametrize(("final", "interim"), [("200", 50), ("8", 2), ("2", 1), ("1", 1)])
def test_a_report_in_passing_asks_a_quarter_but_never_nothing(final, interim):
    assert in_passing(at_least_one(final)) == interim


@pytest.mark.parametrize("text", ["0", "-8", "many"])
def test_a_report_of_no_probes_is_refused_before_the_build_begins(text, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["build", "--out", "nowhere", "--report", text])
    with pytest.raises(SystemExit, match="2"):
        arguments()
    assert f"--report: '{text}' is no whole number of at least 1" in capsys.readouterr().err


def test_the_shipped_log_says_how_long_and_how_well():
    from rft_nano import WEIGHTS

    lines = [json.loads(line) for line in (WEIGHTS / "build.log.jsonl").read_text().splitlines()]

    assert {"perception", "words", "language"} <= {line.get("stage") for line in lines}
    assert lines[-1]["report"] == "final"
