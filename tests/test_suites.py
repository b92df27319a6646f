"""A suite measures a model: with its images, and with those of another sample."""

import json
import pickle
from collections import Counter
from unittest import mock

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image as Pil

from rftcore import builtin
from rftcore.errors import PluginError
from rftcore.evaluation.scores import MeasureScore, SuiteScore
from rftcore.evaluation.suites import (
    MOST_FAILURES,
    evaluate_suite,
    fingerprints,
    measure_score,
    measures_of,
    swapped,
)
from rftcore.evaluation.tables import suite_table
from rftcore.images import Image
from rftcore.models.completions import Completion
from rftcore.types import Measure, Sample, Suite
from tests.commands import rft


def picture(key):
    return Image(key, read=lambda: pytest.fail("nobody needs the pixels"))


def shown(gold, *keys):
    return Sample("?", "What is it?", gold, tuple(map(picture, keys)))


few = st.sampled_from("abc")
mixtures = st.lists(
    st.builds(lambda gold, keys: shown(gold, *keys), few, st.lists(few, max_size=2))
)
colors = st.lists(few.map(lambda color: shown(color, color)), min_size=2)
unlike = st.lists(few).map(lambda golds: [shown(gold, str(i)) for i, gold in enumerate(golds)])


def partners(sample, samples):
    """The samples whose images a sample may get."""
    same = [s for s in samples if len(s.images) == len(sample.images) > 0]
    return [s for s in same if not {*s.images} & {*sample.images}]


@given(mixtures)
def test_a_sample_is_swapped_if_it_can_be_and_its_words_stay(samples):
    kept = [(s.question, s.gold) for s in samples if partners(s, samples)]

    assert [(s.question, s.gold) for s in swapped(samples)] == kept


@given(mixtures)
def test_a_sample_gets_as_many_images_and_never_one_of_its_own(samples):
    before = [s for s in samples if partners(s, samples)]
    for own, other in zip(before, swapped(samples), strict=True):
        assert len(own.images) == len(other.images)
        assert not {*own.images} & {*other.images}


@given(mixtures)
def test_the_images_come_from_a_sample_with_another_gold_if_there_is_one(samples):
    before = [s for s in samples if partners(s, samples)]
    for own, other in zip(before, swapped(samples), strict=True):
        golds = {s.gold for s in partners(own, samples)} - {own.gold}
        came_from = {s.gold for s in samples if s.images == other.images}
        assert came_from & golds or not golds


@given(unlike)
def test_every_image_is_shown_once_unless_most_samples_have_one_gold(samples):
    assume(samples and 2 * max(Counter(s.gold for s in samples).values()) <= len(samples))

    assert {s.images for s in swapped(samples)} == {s.images for s in samples}


def seeing(policy, prompts, max_new_tokens):
    """A model that writes what its images are."""
    return [Completion(" ".join(i.key for i in p.images), 1, clipped=False) for p in prompts]


def staring(policy, prompts, max_new_tokens):
    """A model that looks at nothing."""
    return [Completion("a", 1, clipped=False) for _ in prompts]


def score(model, *samples, of=None, **suite):
    measure = Measure(samples, of) if of else Measure(samples)
    tiny = Suite("tiny", lambda: {"color": measure}, **suite)
    with mock.patch("rftcore.evaluation.suites.generate", model):
        return evaluate_suite(None, tiny, measures_of(tiny), progress=False)[0]


@given(colors)
def test_a_model_that_sees_is_right_until_it_is_shown_something_else(samples):
    found = score(seeing, *samples, batch_size=3)

    assert found.measures["color"] == measure_score([(1, 1)] * len(samples))
    assert "color" not in found.blind or found.blind["color"].value == 0


@given(unlike)
def test_a_blind_model_scores_the_same_with_other_images(samples):
    assume(len(samples) > 1)
    found = score(staring, *samples, batch_size=3)

    assert found.blind == found.measures


@given(st.lists(st.integers(1, 9).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))))
def test_a_score_is_a_share_of_all_parts_within_its_interval(parts):
    assume(parts)
    found = measure_score(parts)

    assert found.n == sum(of for _, of in parts)
    assert found.value * found.n == pytest.approx(sum(right for right, _ in parts))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_suite_without_swapped_images_has_no_blind_column():
    tiny = Suite("tiny", lambda: {"color": Measure([shown(g, g) for g in "ab"])})
    with mock.patch("rftcore.evaluation.suites.generate", seeing):
        found, _ = evaluate_suite(None, tiny, measures_of(tiny), blind=False, progress=False)

    assert (found.measures["color"].value, found.blind) == (1, {})


def test_completions_are_gathered_without_images(monkeypatch):
    travel = lambda mine: [pickle.loads(pickle.dumps(mine))]  # noqa: E731
    monkeypatch.setattr("rftcore.distributed.all_gather", travel)
    found = score(seeing, *(shown(color, color) for color in "abc"))  # these cannot be pickled

    assert found.measures["color"].value == 1


def test_parts_of_an_answer_count_each():
    def words(completion, gold):
        return len({*completion.split()} & {*gold.split()}), len(gold.split())

    found = score(seeing, shown("red cube", "red"), shown("blue ball", "blue ball"), of=words)

    assert (found.measures["color"].value, found.measures["color"].n) == (3 / 4, 4)
    assert found.blind["color"].value == 0


def test_a_measure_without_images_is_not_evaluated_blind():
    assert score(staring, shown("a"), shown("b")).blind == {}
    assert score(staring, shown("a"), shown("a", "x"), shown("a", "y")).blind["color"].n == 2


def test_a_limit_takes_the_first_samples_of_each_measure():
    suite = Suite("tiny", lambda: {k: Measure([shown(g) for g in "abc"]) for k in ("one", "two")})
    taken = measures_of(suite, 2)

    assert {k: [s.gold for s in m.samples] for k, m in taken.items()} == {
        "one": ["a", "b"],
        "two": ["a", "b"],
    }


def test_a_fingerprint_changes_with_a_question_and_not_with_its_name():
    one, two = (Sample(name, "Which?", "a") for name in ("one", "two"))
    other = Sample("one", "What?", "a")
    prints = [fingerprints({"color": Measure([s])})["color"] for s in (one, two, other)]

    assert prints[0] == prints[1] != prints[2]


def raising():
    raise ZeroDivisionError("no images")


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (raising, "making its measures failed: ZeroDivisionError: no images"),
        (dict, "has no measures"),
        (lambda: None, "making its measures failed: TypeError"),
        (lambda: {"color": Measure([])}, "measure 'color' has no samples"),
        (lambda: {"blind": Measure([shown("a")])}, "'blind', but its report uses that key for"),
        (lambda: {"about": Measure([shown("a")])}, "'about', but its report uses that key for"),
    ],
)
def test_a_suite_that_measures_nothing_is_an_error_that_names_it(measures, expected):
    with pytest.raises(PluginError, match="suite 'tiny'") as caught:
        measures_of(Suite("tiny", measures))
    assert expected in str(caught.value)


BAD_COUNTS = [(2, 1), (-1, 1), (0, 0), (0.5, 1), 1, None]


@pytest.mark.parametrize("counted", BAD_COUNTS)
def test_scores_that_count_no_parts_end_in_an_error_that_names_suite_and_sample(counted):
    samples = [shown("a")] * (MOST_FAILURES + 1)
    with pytest.raises(PluginError, match=r"suite 'tiny': the score of sample '\?' failed: "):
        score(staring, *samples, of=lambda completion, gold: counted)


@given(st.lists(st.sampled_from(["right", "wrong", "fails"]), min_size=1, max_size=MOST_FAILURES))
def test_an_answer_whose_score_failed_is_neither_right_nor_wrong(ends):
    def of(completion, gold):
        return {"right": (1, 1), "wrong": (0, 1)}[gold]

    found = score(staring, *map(shown, ends), of=of).measures["color"]
    known = [end == "right" for end in ends if end != "fails"]

    assert (found.n, found.failed) == (len(known), ends.count("fails"))
    assert found.value == (sum(known) / len(known) if known else None)


def test_the_table_shows_answers_that_were_not_scored():
    some, none = MeasureScore(0.5, 0.431, 0.569, 200, 3), MeasureScore(None, None, None, 0, 4)
    rows = suite_table(SuiteScore({"color": some, "sum": none}, {})).splitlines()

    assert rows[2].endswith("50.0 [43.1, 56.9], n=200, 3 not scored  -")
    assert "—, 4 not scored" in rows[3]


def test_the_table_has_a_row_for_each_key_and_a_dash_for_measures_without_images():
    half = MeasureScore(0.5, 0.431, 0.569, 200)
    rows = suite_table(SuiteScore({"color": half, "sum": half}, {"color": half})).splitlines()

    assert rows[0].split() == ["%", "right", "images", "swapped"]
    assert rows[2].split("  ")[-2:] == ["50.0 [43.1, 56.9], n=200"] * 2
    assert rows[3].endswith("n=200  -")


# --- the command -------------------------------------------------------------


def tiny(color: str = "red") -> Suite:
    """Four images and a riddle."""
    names = (color, "blue", "lime", "gray")

    def measures():
        seen = [Sample(name, "Which color?", name, (painted(name),)) for name in names]
        return {"color": Measure(seen), "sum": Measure([Sample("sum", "1 + 1?", "2")])}

    return Suite("tiny", measures, summary="which colors a model sees", max_new_tokens=4)


def marked() -> Suite:
    """A question that spells a special token."""
    return Suite("marked", lambda: {"one": Measure([Sample("1", "<image> Which?", "a")])})


def painted(color):
    import io

    from PIL import Image as pil

    buffer = io.BytesIO()
    pil.new("RGB", (32, 32), color).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    model = pytest.importorskip("rft_nano.model")
    return model.build_untrained(tmp_path_factory.mktemp("toy"), seed=1)


def unsure() -> Suite:
    """A measure whose score fails on one answer."""

    def of(completion, gold):
        return {"blue": (0, 1)}[gold]

    seen = [Sample(name, "Which color?", name, (painted(name),)) for name in ("red", "blue")]
    return Suite("unsure", lambda: {"color": Measure(seen, of)}, max_new_tokens=4)


def test_eval_of_a_suite_ends_with_the_scores_that_failed(toy, tmp_path):
    done = rft("eval", toy, "--suite", "unsure", "--answers", "answers.jsonl")
    written = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]

    note = (
        "note: 2 answers could not be scored: answers.jsonl; first: suite 'unsure': the score of "
    )
    assert done.output.splitlines()[-1].startswith(f"{note}sample 'red' failed: KeyError: 'red' (")
    assert "n=1, 1 not scored" in done.output
    assert (written[0]["right"], written[0]["failure"] != "") == (None, True)


SUITES = {"unsure": unsure, "tiny": tiny, "wrong": dict, "clash": tiny, "marked": marked}


@pytest.fixture(autouse=True)
def _world(tmp_path, monkeypatch, fakes):
    monkeypatch.chdir(tmp_path)
    clash = fakes.plugin(rft_suites={"clash": tiny})
    points = [
        fakes.point("rftcore", builtin),
        fakes.point("good", fakes.plugin(rft_suites=SUITES)),
        fakes.point("other", clash),
        fakes.point("models", fakes.plugin(rft_models={"empty": lambda: tmp_path})),
    ]
    fakes.install(points, monkeypatch)


def test_eval_prints_a_suites_table_and_writes_its_report(toy, tmp_path):
    done = rft("eval", toy, "--suite", "tiny", "--json", "out.json")

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == f"{toy}: which colors a model sees"
    report = json.loads((tmp_path / "out.json").read_text())
    assert list(report) == ["color", "sum", "blind", "about"]
    assert list(report["blind"]) == ["color"]
    assert list(report["color"]) == ["value", "low", "high", "n", "failed"]
    assert report["about"]["suite"] == "good:tiny"
    assert report["about"]["packages"]["torch"]


def test_eval_writes_the_completions_with_own_and_with_swapped_images(toy, tmp_path):
    done = rft("eval", toy, "--suite", "tiny", "--json", "out.json", "--answers", "answers.jsonl")

    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text())
    written = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    counts = Counter((each["measure"], each["images"]) for each in written)
    assert counts == {("color", "own"): 4, ("color", "swapped"): 4, ("sum", "own"): 1}
    assert [each["gold"] for each in written[:4]] == ["red", "blue", "lime", "gray"]
    right = [each["right"] for each in written if each["images"] == "own"][:4]
    assert sum(right) == report["color"]["value"] * report["color"]["n"]


def test_eval_hands_a_suite_its_limit_and_options(toy, tmp_path):
    arguments = ("--limit", 2, "--set", "suite_options.color=teal", "--json", "out.json")
    done = rft("eval", toy, "--suite", "tiny", *arguments)

    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["color"]["n"], report["sum"]["n"], report["blind"]["color"]["n"]) == (2, 1, 2)
    assert report["about"]["limit"] == 2
    assert report["about"]["suite_options"] == {"color": "teal"}


@pytest.mark.parametrize("done", [[], ["sft"]])
def test_eval_of_a_run_asks_a_suite_of_its_newest_policy(done, toy, tmp_path):
    run = tmp_path / "run"
    (run / "sft").mkdir(parents=True)
    (run / "sft" / "model").symlink_to(toy)
    (run / "manifest.json").write_text("{}")
    (run / "recipe.yaml").write_text(f"task: t\nmodel: {toy}\n")
    (run / "state.json").write_text(json.dumps({"done": done}))
    shown = rft("eval", run, "--suite", "tiny", "--limit", 1).stdout

    assert shown.startswith(f"{run}/sft/model: " if done else f"{toy}: ")


def test_only_rank_0_prints(toy, monkeypatch, tmp_path):
    monkeypatch.setattr("rftcore.distributed.is_main", lambda: False)
    monkeypatch.setattr("rftcore.distributed.barrier", lambda: None)
    done = rft("eval", toy, "--suite", "tiny", "--limit", 1, "--json", "out.json")

    assert (done.exit_code, done.stdout) == (0, "")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--suite", "tinny"], "no suite named 'tinny'. Did you mean 'tiny'"),
        (["--suite", "clash"], "Use one of: good:clash, other:clash"),
        (["--suite", "wrong"], "which is not an rftcore.Suite"),
        (["--suite", "tiny", "--task", "t", "--split", "val"], "leave out --task, --split"),
        (["--suite", "tiny", "--prompt", "reason"], "leave out --prompt"),
        (["--suite", "tiny", "--set", "evaluation.batch_size=2"], "--set suite_options.NAME=VALUE"),
        (["--suite", "tiny", "--set", "suite_options=2"], "--set suite_options.NAME=VALUE"),
        (["--suite", "tiny", "--set", "suite_options.colr=a"], "Did you mean 'color'"),
        (["--suite", "tiny", "--limit", "0"], "x>=1"),
        (["--task", "t", "--limit", "2"], "--limit 2 is for --suite"),
        (["--suite", "tiny", "--json", "no/out.json"], "--json no/out.json: there is no folder no"),
        (["--suite", "tiny", "--answers", "."], "--answers .: this is a folder"),
    ],
)
def test_settings_that_do_not_fit_a_suite_are_errors_before_a_model_loads(
    arguments, expected, monkeypatch
):
    monkeypatch.setattr(
        "rftcore.models.loading.load_model", lambda *_: pytest.fail("a model loaded")
    )
    done = rft("eval", "empty", *arguments)

    assert done.exit_code == 2
    assert expected in done.stderr


def test_a_question_of_a_suite_that_spells_a_special_token_is_an_error(toy, monkeypatch):
    monkeypatch.setattr(
        "rftcore.models.loading.load_model", lambda *_: pytest.fail("a model loaded")
    )
    done = rft("eval", toy, "--suite", "marked")

    assert done.exit_code == 2
    assert "the question contains '<image>', where this model puts an image" in done.stderr


def test_plugins_list_shows_suites():
    rows = json.loads(rft("plugins", "list", "--json").output)
    states = {(r["distribution"], r["name"]): r["state"] for r in rows if r["kind"] == "suite"}

    assert states["good", "tiny"] == "ok"
    assert states["other", "clash"] == "qualified"


def test_a_fingerprint_covers_the_pixels_and_no_path(tmp_path):
    def of(name, color):
        Pil.new("RGB", (2, 2), color).save(tmp_path / name)
        sample = Sample("a", "Which?", "a", (Image.from_path(tmp_path / name),))
        return fingerprints({"color": Measure([sample])})

    assert of("a.png", "red") == of("b.png", "red") != of("a.png", "blue")
