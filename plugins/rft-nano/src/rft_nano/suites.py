"""What a model sees of nano's world, on pictures that no training shows: `rft eval --suite`.

Every gold is exact text. Two suites: `perception` asks of scenes, pairs and diagrams,
`words` asks without pictures. The questions are those of nano's practice, so another
model has to know the form of the answers to do well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from rft_nano.practice import Request, changes, numbers, scenes, texts
from rft_nano.practice import diagrams as drawn
from rft_nano.things import ATTRIBUTES, Thing
from rftcore.errors import PluginError
from rftcore.images import Image
from rftcore.types import Measure, Sample, Suite

if TYPE_CHECKING:
    from rft_nano.corpus.diagrams import Diagram
    from rft_nano.corpus.pairs import Pair

PART = "held out"  # of the corpus
CROWDED = 6  # a caption is asked for so many things at most
FEWEST_SCENES = 20  # of each world: twice one to ten things
LONGEST = 96  # tokens of an answer: ten things with their attributes
Shown = tuple[Image, Sequence[Thing]]


def perception(samples: int = 200, seed: int = 0) -> Suite:
    """What a model sees: things, attributes, counts, places, figures, changes.

    samples: how many pictures, or pairs of pictures, each measure asks about.
    seed: of the questions; the pictures are always the same.
    """
    return Suite(
        name="perception",
        measures=partial(_perception, samples, seed),
        summary="what a model sees: scenes, diagrams and changes, right to the letter",
        max_new_tokens=LONGEST,
    )


def words(samples: int = 200, seed: int = 0) -> Suite:
    """What a model can do without pictures: lists, sums, looking things up.

    samples: questions of each measure. seed: of the questions.
    """
    return Suite(
        name="words",
        measures=partial(_words, samples, seed),
        summary="what a model does with text alone: lists, sums, looking things up",
        max_new_tokens=LONGEST,
    )


def _perception(count: int, seed: int) -> Mapping[str, Measure]:
    try:
        drawn_scenes = max(2 * count, FEWEST_SCENES)
        shapes, vehicles = _scenes(drawn_scenes, 0), _scenes(drawn_scenes, 1)
        pairs, diagrams = _pairs(count), _diagrams(2 * count)
    except ModuleNotFoundError as error:
        raise PluginError(
            f"suite 'perception' draws its pictures with {error.name}, which is not installed: "
            "pip install 'rft-nano[build]'"
        ) from error
    both = [row for two in zip(shapes, vehicles, strict=True) for row in two]
    one_change = [p for p in pairs if len(p[1].changes) == 1]
    still = [p for p in one_change if p[1].same_view]
    moved = [p for p in one_change if not p[1].same_view]
    from_aside = [(images[1], _things(pair.after)) for images, pair in pairs if not pair.same_view]
    with_numbers = [row for row in diagrams if row[1].values]

    def asked(rows: Sequence[Any], *askers: Callable[..., Request], score: Any = None) -> Measure:
        rng = Random(f"{seed}|{askers[0].__name__}|{len(rows)}")
        samples = []
        for image, facts in rows[:count]:
            question, gold = rng.choice(askers)(rng, facts)
            images = image if isinstance(image, tuple) else (image,)
            samples.append(_sample(len(samples), question, gold, images))
        return Measure(samples, score) if score else Measure(samples)

    def few(rows: Sequence[Shown]) -> list[Shown]:
        return [row for row in rows if len(row[1]) <= CROWDED]

    return {
        "objects_right_shapes": asked(few(shapes), scenes.caption, score=in_order),
        "objects_right_vehicles": asked(few(vehicles), scenes.caption, score=in_order),
        "objects_right_moved_camera": asked(few(from_aside), scenes.caption, score=in_order),
        "objects_right_crowded": asked(
            [row for row in both if len(row[1]) > CROWDED], scenes.caption, score=in_order
        ),
        "attributes": asked(both, scenes.attribute, scenes.at_place),
        "attributes_shapes": asked(shapes, scenes.attribute),
        "attributes_vehicles": asked(vehicles, scenes.attribute),
        "counts": asked(both, scenes.total),
        "counts_of_a_kind": asked(both, scenes.counted),
        "existence": asked(both, scenes.exists),
        "positions": asked(both, scenes.ordered, scenes.neighbour),
        "filters": asked(both, scenes.filtered),
        "verdicts": asked(both, scenes.verdicts, score=in_order),
        "diagram_numbers": asked(with_numbers, drawn.value),
        "diagram_numbers_listed": asked(with_numbers, drawn.numbers, score=in_order),
        "diagram_letters": asked(diagrams, drawn.letters, score=letter_by_letter),
        "changes": asked(still, changes.which_and_what),
        "changes_moved_camera": asked(moved, changes.which_and_what),
        "changes_by_name": asked(pairs, changes.one_then, changes.one_attribute),
    }


def _words(count: int, seed: int) -> Mapping[str, Measure]:
    sources: dict[str, Callable[[Random], Request]] = {
        "lists": scenes.from_list,
        "fits": scenes.belongs,
        "labels": partial(scenes.from_list, asker=scenes.labelled),
        **{
            f"verdicts_by_{a}": partial(
                scenes.from_list, asker=partial(scenes.verdicts, attributes=(a,))
            )
            for a in ATTRIBUTES
        },
        "small_numbers": numbers.small,
        "large_sums": numbers.large_sum,
        "chains": numbers.chain,
        "large_numbers": numbers.large,
        "copies": texts.copied,
        "looked_up": texts.looked_up,
        "choices": texts.chosen,
        "numbered_lists": texts.numbered_list,
    }
    out = {}
    for name, source in sources.items():
        rng = Random(f"{seed}|{name}")
        requests = [source(rng) for _ in range(count)]
        out[name] = Measure([_sample(i, *request, ()) for i, request in enumerate(requests)])
    return out


def _sample(number: int, question: str, gold: str, images: tuple[Image, ...]) -> Sample:
    return Sample(id=str(number), question=question, gold=gold, images=images)


def in_order(said: str, gold: str) -> tuple[int, int]:
    """How many entries of a list stand in the right order; one too many costs as one missing."""
    return _common(said.strip().split(", "), gold.split(", "))


def letter_by_letter(said: str, gold: str) -> tuple[int, int]:
    """The same for words without commas."""
    return _common(said.split(), gold.split())


def _common(said: Sequence[str], true: Sequence[str]) -> tuple[int, int]:
    """The longest common subsequence, of the longer of both."""
    best = [0] * (len(true) + 1)
    for word in said:
        row = [0]
        for j, other in enumerate(true):
            row.append(best[j] + 1 if word == other else max(best[j + 1], row[j]))
        best = row
    return best[-1], max(len(said), len(true))


def _scenes(count: int, vehicles: int) -> list[Shown]:
    from rft_scenes import scene_pictures

    from rft_nano.corpus.scenes import describe, held_out

    chosen = [held_out(2 * number + vehicles) for number in range(count)]
    pictures = scene_pictures()
    pictures.draw_all(chosen, f"rendering {'vehicles' if vehicles else 'shapes'} held out")
    return [(pictures.image(scene), _things(describe(scene))) for scene in chosen]


def _things(seen: Sequence[Any]) -> list[Thing]:
    return [s.thing for s in seen]


def _pairs(count: int) -> list[tuple[tuple[Image, Image], Pair]]:
    from rft_scenes import scene_pictures

    from rft_nano.corpus.pairs import draw, pairs_of, scenes_of

    pictures, drawn = scene_pictures(), [draw(number, PART) for number in range(count)]
    rows = [scenes_of(*each) for each in drawn]
    pictures.draw_all([scene for row in rows for scene in row], "rendering pairs held out")
    return [
        ((pictures.image(row[0]), pictures.image(row[pair.second])), pair)
        for row, each in zip(rows, drawn, strict=True)
        for pair in pairs_of(*each, 0)
    ]


def _diagrams(count: int) -> list[tuple[Image, Diagram]]:
    from rft_structure.drawing import FIGURES

    from rft_nano.corpus.diagrams import describe, draw

    drawn = [draw(number, PART) for number in range(count)]
    FIGURES.draw_all([drawing for _, drawing in drawn], "drawing diagrams held out")
    return [(FIGURES.image(each[1]), describe(*each)) for each in drawn]
