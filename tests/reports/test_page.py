"""The page as text: nothing that a model wrote is markup in it, and colors can be read."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.reports.html import block, page

STYLE = resources.files("rftcore.reports").joinpath("page", "style.css").read_text()
PIECES = [
    *("</script>", "</SCRIPT ", "<script>", "<!--", "-->", "<!--<script>", "]]>", "<", ">", "&lt;"),
    *("\u2028", "\u2029", "\u202e", "\u2066", "\ufeff", "\x00", "\r\n", "\\", '"', "'", "\ud83d"),
    *("{{script}}", "{{data}}", "$&", "`${1}`", "\x85", "\uffff", "\U0001f600", "</title>"),
]
hostile = st.lists(st.sampled_from(PIECES) | st.text(st.characters()), max_size=6).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=8,
)


class Reader(HTMLParser):
    """Python's own parser of HTML: which elements there are, and the text of each script."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.attributes, self.inside = [], [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.inside = True
        self.tags.append(tag)
        self.texts.append("")
        self.attributes.append(dict(attributes))

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data

    def of(self, tag):
        return [t for name, t in zip(self.tags, self.texts, strict=True) if name == tag]


EMPTY = Reader(page("a run", {}, []))


@given(values, values, hostile)
def test_what_goes_into_a_page_comes_out_and_adds_no_element(data, images, title):
    found = Reader(page(title, data, images))
    first, second, script = found.of("script")

    assert (json.loads(first), json.loads(second)) == (data, images)
    assert found.tags == EMPTY.tags
    assert script == EMPTY.of("script")[-1]


@given(values)
def test_a_block_has_nothing_that_html_or_a_reader_of_the_source_takes_for_more(value):
    assert not re.search(
        "[<>&\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\x00]", block(value)
    )


def test_the_policy_has_the_hashes_of_our_style_and_script_and_no_other_source():
    [policy] = [a["content"] for a in EMPTY.attributes if "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    hashes = {
        name: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in (("style", EMPTY.of("style")[0]), ("script", EMPTY.of("script")[-1]))
    }

    assert rules == {
        "default-src": "'none'",
        "script-src": f"'{hashes['script']}'",
        "style-src": f"'{hashes['style']}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_our_script_writes_text_only():
    script = EMPTY.of("script")[-1]
    sinks = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|srcdoc|fetch|http"
    )

    assert re.findall(sinks, script.replace('"http://www.w3.org/2000/svg"', "")) == []


def colors(part):
    return dict(re.findall(r"--(\w+): (#\w{6});", part))


def contrast(one, other):
    """The contrast ratio of WCAG 2.2."""

    def luminance(color):
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    found = colors({"light": light, "dark": dark.partition("* {")[0]}[scheme])
    inks = (
        "ink",
        "faint",
        "accent",
        "right",
        "wrong",
        "other",
        "mark",
        *(f"c{n}" for n in range(6)),
    )

    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for ink in inks:
        for ground in ("paper", "raised"):
            assert contrast(found[ink], found[ground]) >= 4.5, (ink, ground)
