"""A model card states what the run recorded, and nothing in the data becomes markup of it."""

import ast
import html
import json
import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rftcore.evaluation.scores import Gain, Share, SplitScore
from rftcore.pipeline.card import HERE, CardFacts, Example, card, without_paths
from rftcore.pipeline.markdown import escaped, fenced, table

markdown_it = pytest.importorskip("markdown_it")
HOSTILE = [
    "<script>alert(1)</script>",
    "a | b\n\n# c",
    "[x](http://evil.example)",
    "![x](data:y)",
    "```\n# out",
    "*a* _b_ ~~c~~ `d` $e$",
    "\u202egnp\u200b",
    "&lt;b&gt;",
    "http://evil.example www.evil.example a@b.example",
    "---\nlicense: mit\n---",
]


def rendered(text):
    return markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


def score(split="test", accuracy=0.5):
    low, high = (None, None) if accuracy is None else (accuracy - 0.1, accuracy + 0.1)
    return SplitScore(split, "reason", 40, accuracy, low, high, 0.0, 0.0, 9.0)


def facts(**changed):
    recipe = {"task": "sums", "model": "org/base", "seed": 3, "evaluation": {"max_new_tokens": 64}}
    recipe |= {"sft": {"enabled": True, "hub_token": "hf_x"}, "grpo": {"enabled": True}}
    manifest = {
        "packages": {"rftcore": "0.1.0", "torch": "2.9", "numpy": "2"},
        "plugins": {"rft-sums": "1.0"},
        "command": ["/home/me/bin/rft", "train", "--set=sft.hub_token=hf_x", "--out", "/home/me/r"],
        "data": {"test": "abc"},
        "prompt_hash": "def",
        "vision_check": {"mean_shift_nats": 0.25},
    }
    given = {
        "phase": "grpo",
        "manifest": manifest,
        "recipe": recipe,
        "summary": "Add numbers.",
        "plugin": "rft-sums",
        "sizes": {"rl": 100, "test": 40},
        "scores": {"start": [score(accuracy=0.25)], "grpo": [score()]},
        "gains": [Gain("test", "start", "grpo", 40, 0.25, 0.1, 0.4)],
        "notes": [],
        "example": Example("2 + 2?", 2),
    }
    return CardFacts(**given | changed)


@given(st.text() | st.sampled_from(HOSTILE))
def test_text_stays_text(text):
    shown = rendered(f"- a {escaped(text)} b")
    inside = re.fullmatch(r"<ul>\n<li>a(.*)b</li>\n</ul>\n", shown, re.S)

    assert inside, shown
    assert "<" not in inside[1]
    plain = html.unescape(inside[1]).split()
    assert "".join(plain) == "".join(c for c in "".join(text.split()) if escaped(c) or c == " ")


@given(st.lists(st.text() | st.sampled_from(HOSTILE), min_size=2, max_size=2))
def test_a_cell_stays_a_cell(cells):
    shown = rendered(table(["a", "b"], [cells, cells]))

    assert (shown.count("<tr>"), shown.count("<td>"), shown.count("<th>")) == (3, 4, 2)
    assert not set(re.findall(r"<(\w+)", shown)) - {"table", "thead", "tbody", "tr", "td", "th"}


@given(st.text(alphabet="`~a\n #") | st.sampled_from(HOSTILE))
def test_a_code_block_ends_where_it_should(text):
    shown = rendered(f"{fenced(text, 'text')}\n\nafter")

    assert shown.startswith('<pre><code class="language-text">')
    assert shown.endswith("</code></pre>\n<p>after</p>\n")
    assert shown.count("<") == 6


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_data_adds_no_markup_to_a_card(text):
    plain = facts()
    hostile = facts(
        recipe=plain.recipe | {"task": text, "model": text},
        manifest=plain.manifest | {"command": ["rft", text], "plugins": {text: text}},
        summary=text,
        plugin=text,
        sizes={text: 100, "test": 40},
        scores={"start": [score(text, 0.25)], "grpo": [score(text)]},
        gains=[Gain(text, "start", "grpo", 40, 0.25, 0.1, 0.4)],
        notes=[text],
        example=Example(text, 2),
    )
    tags = [re.findall(r"<[^>]*>", rendered(body(card(each)))) for each in (plain, hostile)]

    assert sorted(set(tags[1])) == sorted(set(tags[0]))
    assert yaml.safe_load(card(hostile).split("---\n")[1])["library_name"] == "transformers"


def body(text):
    return text.split("---\n", 2)[2]


def test_a_card_has_the_table_and_where_it_comes_from():
    text = card(facts(notes=["parser failed on /home/me/data/x.jsonl row 3"]))

    assert "| zero-shot | 25.0 (15.0 to 35.0, n=40) |" in text
    assert "| after GRPO | 50.0 (40.0 to 60.0, n=40) |" in text
    assert "| zero-shot to GRPO | +25.0 (+10.0 to +40.0) |" in text
    assert "| test | evaluation | 40 | abc |" in text
    assert "rft train --set=sft.hub_token=(not shown) --out r\n" in text
    assert "Finding of the run: parser failed on x.jsonl row 3" in text
    assert "0.25 nats" in text
    assert "The base model org/base and the data: not recorded by rft" in text


def test_a_card_gives_away_no_secret_and_no_folder():
    text = card(facts(recipe=facts().recipe | {"model": "/home/me/base", "dataset": "/home/me/d"}))

    assert "hf_x" not in text
    assert "/home/me" not in text


def test_a_task_in_a_file_gives_away_no_folder():
    recipe = facts().recipe | {"task": "/home/me/secret/task.py:task"}
    text = card(facts(recipe=recipe, plugin="/home/me/secret/task.py"))

    assert "on the task task.py:task (" in text
    assert "/home" not in text


def test_a_card_has_letters_as_they_are_and_what_nobody_sees_as_escapes():
    question = "Wie groß ist\u202e es?"
    recipe = facts().recipe | {"task_options": {"gruß": "Grüße"}}
    text = card(facts(recipe=recipe, example=Example(question, 1)))
    code = re.search(r"^text = (.*)$", text, re.M)[1]

    assert "gruß: Grüße" in text
    assert (ast.literal_eval(code), "groß" in code, code.isprintable()) == (question, True, True)


def test_the_front_matter_names_a_base_model_of_the_hub_alone():
    first = yaml.safe_load(card(facts()).split("---\n")[1])
    other = yaml.safe_load(card(facts(recipe=facts().recipe | {"model": "/x/y"})).split("---\n")[1])

    assert first["base_model"] == "org/base"
    assert first["pipeline_tag"] == "image-text-to-text"
    assert "base_model" not in other
    assert "license" not in first


def test_what_was_not_measured_is_named():
    text = card(facts(scores={}, gains=[], manifest={"smoke": True}, example=Example("?", 0)))

    assert "The policy was not evaluated." in text
    assert "A smoke run" in text
    assert "That the answers depend on the images was not checked." in text
    assert "Image.open" not in text
    assert "not scored (n=40)" in card(facts(scores={"grpo": [score(accuracy=None)]}))


def test_a_card_of_ans_sft_claims_no_reasoning_and_shows_blind_accuracy():
    blind = replace(score(), blind=Share(40, 0.125, 0.05, 0.25))
    recipe = facts().recipe | {"paradigm": "ans-sft"}
    text = card(facts(phase="sft", recipe=recipe, scores={"sft": [blind]}, gains=[]))

    assert "trained by SFT on bare answers on the task" in text
    assert "| after SFT, with images of other samples | 12.5 (5.0 to 25.0, n=40) |" in text


def test_the_example_holds_the_prompt_as_the_task_writes_it():
    prompt = 'say "```"\n\u202e\\ and go'
    code = re.search(r"```python\n(.*?)\n```\n", card(facts(example=Example(prompt, 1))), re.S)

    line = next(line for line in code[1].splitlines() if line.startswith("text = "))
    assert json.loads(line.removeprefix("text = ")) == prompt
    assert code[1].count(HERE) == 1


def test_a_path_is_shortened_and_a_fraction_is_not():
    assert without_paths("in /a/b/c.py, 3/4 of http://x/y") == "in c.py, 3/4 of http://x/y"
