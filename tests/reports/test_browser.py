"""The page in a real browser: nothing in it runs but our script, and it does what it shows."""

import io
import json
import random
import time
from dataclasses import replace

import pytest
from PIL import Image as pil
from PIL import ImageDraw

from rftcore.images import Image

RAN = "window.ran = 1"
HOSTILE = [
    f"<script>{RAN}</script>",
    f"</script><script>{RAN}</script>",
    f"<!--<script>{RAN}//--></script>",
    f'<img src="x" onerror="{RAN}">',
    f'"><svg onload="{RAN}"><style>body {{ display: none }}</style>',
    f'<iframe srcdoc="<script>parent.ran = 1</script>"></iframe><a href="javascript:{RAN}">a</a>',
    '<img src="https://example.org/a.png"><link rel="stylesheet" href="https://example.org/b.css">',
    '<meta http-equiv="refresh" content="0;url=https://example.org">',
    "<table><tr><td><div></p></b></pre></article></main></body></html>",
    "${alert(1)} {{data}} $& $` %s &lt;b&gt; &#x3c;",
    "e" + "\u0301" * 300,
]
JOINED = "two\nlines\tand \U0001f468\u200d\U0001f469 joined"
MARKED = {
    "a\u202eb\u202c": "aU+202EbU+202C",
    "\u2066x\u2069\u200b": "U+2066xU+2069U+200B",
    "\x00\x00\x00 \x1b[2J": "U+0000 \u00d7 3 U+001B[2J",
    "a\ud83d b": "aU+D83D b",
    "one\u2028two": "oneU+2028two",
    JOINED: JOINED,
}
TEXTS = [*HOSTILE, *MARKED, "x" * 1_000_000]
BUTTONS = "[...document.querySelectorAll('.detail button')].filter(b => /%s/.test(b.textContent))"
CHOOSE = """(values => {
  const labels = [...document.querySelectorAll('.filters label')];
  for (const [name, value] of values) {
    const label = labels.filter(l => l.firstChild.textContent.trim() === name)[0];
    label.querySelector('input, select').value = value;
    label.querySelector('input, select').dispatchEvent(new Event('input', { bubbles: true }));
  }
  document.querySelector('.filters').dispatchEvent(new Event('input', { bubbles: true }));
  return new Promise(done => setTimeout(done, 200));  // after the timer of the page
})(%s)"""


def text_of(browser, selector):
    return browser.eval(f"document.querySelector({json.dumps(selector)}).textContent")


def wait(browser, code, expected):
    """Wait until an expression has a value; the filters react after a moment."""
    ends = time.monotonic() + 60
    while (found := browser.eval(code)) != expected and time.monotonic() < ends:
        time.sleep(0.05)
    assert found == expected


def clean(browser, file):
    """Nothing was written to the console, and nothing but the file and its images was read."""
    asked = {url.partition("#")[0] for url in browser.requests if not url.startswith("data:")}
    assert browser.console == []
    assert asked <= {file.absolute().as_uri(), "about:blank"}


def png(image):
    image.save(buffer := io.BytesIO(), "PNG")
    return Image.from_bytes(buffer.getvalue())


@pytest.fixture(autouse=True)
def _fresh(request):
    if "browser" in request.fixturenames:
        page = request.getfixturevalue("browser")
        page.console.clear()
        page.requests.clear()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_a_model_wrote_is_text(browser, world, row, text):
    terms = {"rewards": {text[:99]: 1.0}, "notes": {text[:99]: text[:999]}}
    answer = row("val", 1, text, answer=text, question=text, gold=text, id=text[:99], **terms)
    rollouts = [row("rl", 1, text, step=1, parse_error=text) for _ in range(2)]
    run = world.run({"start": [answer]}, rollouts, prompt_example=text, command=[text])
    run.add_failure({"phase": "grpo", "reward": text, "note": text, "traceback": text})
    file = world.report(run).path
    browser.open(file)
    seen = MARKED.get(text, text)

    browser.eval(BUTTONS % "^Show all" + ".forEach(b => b.click())")
    assert text_of(browser, ".detail pre[aria-label=Completion]") == seen
    assert text_of(browser, ".detail pre[aria-label=Question]") == seen
    assert browser.eval("window.ran") is None
    assert browser.eval("document.querySelectorAll('script').length") == 3
    added = "iframe, svg, style:not(head *), main :is(img, a, link, meta)"
    assert browser.eval(f"document.querySelectorAll('{added}').length") == 0
    assert browser.eval("document.documentElement.scrollWidth <= innerWidth")
    clean(browser, file)


def test_each_answer_has_its_own_image_and_text(browser, world, row):
    file = world.report(world.run({"start": [row("val", at, f"c{at}") for at in range(3)]})).path
    browser.open(file)
    for at in range(3):
        image = "document.querySelector('.detail img')"
        wait(browser, f"{image}.complete && {image}.naturalWidth", 12)
        pixel = (
            f"(c => (c.drawImage({image}, 0, 0), [...c.getImageData(3, 3, 1, 1).data]))"
            "(document.createElement('canvas').getContext('2d'))"
        )
        assert browser.eval(pixel) == [at, 0, 90, 255]
        assert text_of(browser, ".detail pre[aria-label=Completion]") == f"c{at}"
        assert browser.eval("/null|undefined|NaN|object/.test(document.body.innerText)") is False
        browser.key("j")
    clean(browser, file)


@pytest.mark.parametrize("width", [400, 1280])
def test_images_of_a_question_have_one_scale_and_their_own_shapes(browser, world, row, width):
    class Pairs(type(world.data)):
        def sample(self, split, index):
            found = super().sample(split, index)
            sizes = [(28, 28), (56, 224)] if index else [(600, 30)]
            images = [pil.new("RGB", size, (9, 8, 7)) for size in sizes]
            return replace(found, images=tuple(map(png, images)))

    world.data = Pairs()
    run = world.run({"start": [row("val", 1), row("val", 0)]}, pixel_budget={"do_resize": False})
    browser.open(world.report(run).path, width=width)
    sizes = (
        "[...document.querySelectorAll('.detail img')].map(i => [i.clientWidth, i.clientHeight])"
    )
    (small, tall) = browser.eval(sizes)
    browser.key("j")
    wait(browser, f"{sizes}.length", 1)
    [wide] = browser.eval(sizes)

    assert (small, tall) == ([44, 44], [88, 352])
    assert wide[0] <= width
    assert abs(wide[0] / wide[1] - 20) < 1
    assert browser.eval("document.documentElement.scrollWidth <= innerWidth")


def test_a_curve_that_does_not_move_names_its_value_alone(browser, world, row):
    run = world.run({"sft": [row("val", 1)]})
    for at in (1, 2, 3):
        run.log({"phase": "grpo", "step": at, "accuracy": 0.0, "unparsed": 1.0})
    browser.open(world.report(run).path)
    labels = browser.eval(
        "[...document.querySelectorAll('.chart text[text-anchor=end]')].map(t => t.textContent)"
    )

    assert {*labels} & {"0", "1", "0.4", "1.4", "-0.4"} == {"0", "1"}


def test_keys_move_and_the_address_names_the_row(browser, world, row):
    file = world.report(world.run({"start": [row("val", at, f"c{at}") for at in range(4)]})).path
    browser.open(file)
    at = 0
    for key, by in [("j", 1), ("ArrowRight", 1), ("j", 1), ("j", 0), ("k", -1), ("ArrowLeft", -1)]:
        browser.key(key)
        at += by
        assert text_of(browser, ".place") == f"{at + 1} of 4"
        assert browser.eval("location.hash") == f"#row={at + 1}"
        assert text_of(browser, ".detail pre[aria-label=Completion]") == f"c{at}"
    browser.key("/")
    assert browser.eval("document.activeElement.id") == "search"
    browser.key("j")
    assert text_of(browser, ".place") == f"{at + 1} of 4"
    browser.open(file, fragment="row=3")
    assert text_of(browser, ".place") == "3 of 4"


def lively(row):
    """Answers of two stages and rollouts in which every filter finds some, and not all."""
    chance = random.Random(0)
    stages = {}
    for stage in ("start", "sft"):
        stages[stage] = [
            row(
                split,
                at,
                f"{chance.choice(['cube', 'Sphere'])} {at}",
                correct=(right := chance.choice([True, False, None])),
                clipped=chance.random() < 0.5,
                parse_error=chance.choice([None, "no number"]),
                total=None if right is None else chance.randint(0, 4) / 2,
                rewards={
                    "accuracy": None if right is None else float(right),
                    "form": chance.random(),
                },
                failures={"accuracy": "error"} if right is None else {},
                meta={"kind": ["even", "odd"][at % 2], "of": {"n": at}},
            )
            for split in ("val", "test")
            for at in range(5)
        ]
    drawn = [
        row("rl", at, f"{at} {n}", step=step, total=float(n % 3))
        for step in (1, 2, 3)
        for at in (0, 2)
        for n in range(4)
    ]
    return stages, drawn


FILTERS = [
    ({}, lambda r, old: True),
    ({"Split": "val"}, lambda r, old: r.split == "val"),
    ({"Outcome": "right"}, lambda r, old: r.correct is True),
    ({"Outcome": "wrong"}, lambda r, old: r.correct is False),
    ({"Outcome": "not scored"}, lambda r, old: r.correct is None),
    ({"Outcome": "unparsed"}, lambda r, old: r.parse_error is not None),
    ({"Outcome": "truncated"}, lambda r, old: r.clipped),
    ({"Outcome": "a reward failed"}, lambda r, old: bool(r.failures)),
    ({"Text": "SPHERE"}, lambda r, old: "Sphere" in r.completion),
    ({"Text": "say 3"}, lambda r, old: r.index == 3),
    ({"Sample id": "test-2"}, lambda r, old: r.id == "test-2"),
    ({"Meta": "kind", "is": "odd"}, lambda r, old: r.index % 2 == 1),
    ({"Meta": "of", "is": '{"n":3}'}, lambda r, old: r.index == 3),
    ({"from": "1"}, lambda r, old: (r.total or 0) >= 1),
    ({"from": "0", "to": "0.5"}, lambda r, old: r.total is not None and r.total <= 0.5),
    ({"Reward": "form", "to": "0.5"}, lambda r, old: r.rewards["form"] <= 0.5),
    (
        {"Compared with": "0:start", "Change": "wrong to right"},
        lambda r, old: old.correct is False and r.correct is True,
    ),
    (
        {"Compared with": "0:start", "Change": "right to wrong"},
        lambda r, old: old.correct is True and r.correct is False,
    ),
    ({"Compared with": "0:start", "Change": "any change"}, lambda r, old: old.correct != r.correct),
    ({"Compared with": "0:start", "Change": "no change"}, lambda r, old: old.correct == r.correct),
]
OF_ROLLOUTS = [
    ({"Step from": "2"}, lambda r, group: r.step >= 2),
    ({"Group": "2"}, lambda r, group: group == 2),
    ({"Reward": "advantage", "from": "0.5"}, lambda r, group: r.total == 2),
]


def test_every_filter_lists_what_it_says(browser, world, row):
    stages, drawn = lively(row)
    run = world.run(stages, drawn, recipe={"grpo": {"group_size": 4}})
    file = world.report(run).path
    browser.open(file)
    cases = [("0:sft", *case) for case in FILTERS] + [("0:rollouts", *case) for case in OF_ROLLOUTS]
    for source, chosen, passes in cases:
        if source == "0:sft":
            pairs = zip(stages["sft"], stages["start"], strict=True)
            expected = [new.completion for new, old in pairs if passes(new, old)]
        else:
            expected = [r.completion for at, r in enumerate(drawn) if passes(r, at // 4 + 1)]
        browser.eval("[...document.querySelectorAll('.filters button')].pop().click()")
        browser.eval(CHOOSE % json.dumps([["Show", source], *chosen.items()]))
        whole = len(stages["sft"]) if source == "0:sft" else len(drawn)
        wait(
            browser,
            "document.querySelector('.count').textContent.split(';')[0]",
            f"{len(expected)} of {whole}",
        )
        found = []
        for _ in expected:
            found.append(text_of(browser, ".detail pre[aria-label=Completion]"))
            browser.key("j")
        assert found == expected, chosen
        assert 0 < len(expected) < whole or not chosen
    clean(browser, file)


def test_a_group_is_shown_side_by_side_and_can_be_listed(browser, world, row):
    _, drawn = lively(row)
    file = world.report(world.run({}, drawn, recipe={"grpo": {"group_size": 4}})).path
    browser.open(file)
    cards = "[...document.querySelectorAll('.card pre')].map(c => c.textContent)"

    assert browser.eval(cards) == [r.completion for r in drawn[:4]]
    browser.eval("[...document.querySelectorAll('.card button')].pop().click()")
    assert text_of(browser, ".detail pre[aria-label=Completion]") == drawn[3].completion
    browser.eval(BUTTONS % "group" + "[0].click()")
    assert text_of(browser, ".place") == "1 of 4"


def test_every_control_has_a_name_and_every_image_a_text(browser, world, row):
    stages, drawn = lively(row)
    metrics = [
        {"phase": "grpo", "step": at, "reward": at % 3, "loss": 1 / at} for at in range(1, 60)
    ]
    run = world.run(stages, drawn)
    for line in metrics:
        run.log(line)
    file = world.report(run).path
    for width in (360, 1280):
        browser.open(file, width=width)
        nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "combobox", "textbox", "searchbox", "spinbutton", "link", "img", "image"}
        found = [node for node in nodes if node.get("role", {}).get("value") in roles]
        assert len(found) > 30
        assert [n for n in found if not n["ignored"] and not n.get("name", {}).get("value")] == []
        assert browser.eval("document.documentElement.scrollWidth <= innerWidth")
    assert browser.eval("document.querySelectorAll('.chart').length") == 2
    clean(browser, file)


def test_no_label_of_an_axis_is_cut_and_steps_are_whole_numbers(browser, world, row):
    run = world.run({"sft": [row("val", 1)]})
    for at in (1, 2, 3):
        run.log({"phase": "grpo", "step": at, "loss": -7.8173 - at * 1e-4, "reward": at / 3})
    browser.open(world.report(run).path)
    labels = "[...document.querySelectorAll('.chart text')]"

    assert browser.eval(f"Math.min(...{labels}.map(t => t.getBBox().x))") >= 0
    assert {"1", "2", "3"} <= {*browser.eval(f"{labels}.map(t => t.textContent)")}


def test_several_runs_are_in_one_page(browser, world, row):
    first = world.run({"sft": [row("val", 1, "1"), row("val", 2, "1")]}, name="first")
    second = world.run({"sft": [row("val", 1, "2"), row("val", 2, "2")]}, name="second")
    file = world.report(first, second, out=world.folder / "both.html").path
    browser.open(file)
    browser.eval(
        CHOOSE
        % json.dumps([["Show", "1:sft"], ["Compared with", "0:sft"], ["Change", "wrong to right"]])
    )

    wait(browser, "document.querySelector('.count').textContent.split(';')[0]", "1 of 2")
    assert text_of(browser, ".detail h3 .untrusted") == "val-2"
    assert browser.eval("document.querySelectorAll('#runs .run').length") == 2
    clean(browser, file)


def scene(at):
    """A picture as a renderer draws one: shapes on a ground with some noise."""
    chance = random.Random(at)
    noise = pil.frombytes("L", (128, 128), chance.randbytes(128 * 128)).convert("RGB")
    picture = pil.new("RGB", (128, 128), (150, 150, 150))
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = chance.randrange(100), chance.randrange(100)
        draw.ellipse((x, y, x + 28, y + 28), fill=tuple(chance.choices(range(256), k=3)))
    buffer = io.BytesIO()
    pil.blend(picture, noise, 0.02).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


@pytest.mark.slow
def test_two_thousand_answers_with_images_open_in_two_seconds(browser, world, row):
    world.data = replace(world.data, picture=scene, count=2000)
    answers = [row("val", at, "word " * 60) for at in range(2000)]
    run = world.run({"sft": answers}, pixel_budget={"size": {"height": 128, "width": 128}})
    written = world.report(run)
    browser.call("Performance.enable", timeDomain="threadTicks")  # not what others use of the core
    browser.open(written.path)
    found = {m["name"]: m["value"] for m in browser.call("Performance.getMetrics")["metrics"]}

    assert written.notes == []
    assert written.path.stat().st_size < 30e6
    assert found["TaskDuration"] < 2
    assert browser.eval("document.querySelectorAll('.entry').length") == 100
    assert browser.eval("document.querySelector('.detail img').complete")
    clean(browser, written.path)
