"""Who checks the laws: a sound task keeps all of them, and each bad one breaks its own alone."""

from pathlib import Path

import pytest

from rftcore.testing import LAWS, Law, Settings, Trial
from rftcore.testing.law import KINDS

BAD = Path(__file__).parent / "bad_plugins"
QUICK = Settings(examples=15, samples=24, seconds=2.0)


@pytest.fixture(autouse=True)
def _bad_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BAD)


def bad_plugin(law: Law) -> str:
    own = BAD / f"{law.id}.py"
    file = own if own.exists() else BAD / f"{law.about}.py"
    return f"{file}:{law.id.replace('-', '_')}"


def broken(name: str) -> dict[str, str]:
    results = list(Trial(name, settings=QUICK).run())
    return {result.law.id: result.seen for result in results if result.bad}


def test_a_sound_task_keeps_every_law():
    results = Trial(f"{BAD}/sound_task.py:sound", settings=QUICK).run()

    assert {result.law.id: result.seen for result in results if result.state != "ok"} == {}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_bad_plugin_breaks_its_law_and_no_other(law: Law):
    seen = broken(bad_plugin(law))

    assert list(seen) == [law.id], seen
    assert seen[law.id]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_says_all_it_should_and_needs_only_earlier_ones(law: Law):
    before = list(LAWS)[: list(LAWS).index(law.id)]

    assert law.about in KINDS
    assert all((law.title.endswith("."), law.why.endswith("."), law.cause, law.fix))
    assert {*law.needs} <= {*before} | {"samples-pure"}
