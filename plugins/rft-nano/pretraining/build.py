"""The model in training, and its stages: perception, words, language."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rft_nano import model as models
from rft_nano import suites
from rft_nano.words import BIGGEST_NUMBER, NUMBERS, PLURALS

from pretraining import perception
from pretraining.comparison import Comparison
from pretraining.corpus.library import LOOKING, SPEAKING, Library
from pretraining.corpus.streams import Exhibit
from pretraining.language import Lessons, lesson_loss, look
from pretraining.naming import Names
from pretraining.rows import Packer
from pretraining.stages import LOG_EVERY, Log, Losses, Stage
from pretraining.team import Team
from rftcore.distributed import leave_with_parent
from rftcore.evaluation.suites import evaluate_suite, measures_of
from rftcore.models.policy import Policy

LOOKING_LR, READING_LR = 2.0, 0.4  # times those of a stage: the tower alone, the decoder
LOOKED_AT = 8  # images without words in each step of "language", per process
OWN_SHARE = 0.3  # of a plural's and a capital's first embedding; the rest is that of its root
Shows = Callable[[str], Callable[[], Exhibit]]  # a stream of exhibits from a seed


class Build:
    """The parts that the stages share."""

    def __init__(
        self, out: Path, seed: int, weights: Path, team: Team, *, compiled: bool = False
    ) -> None:
        self.out, self.seed, self.weights, self.team = out, seed, weights, team
        self.state = out / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.log = Log(out / "build.log.jsonl")
        torch.manual_seed(seed)
        self.processor = models.build_processor()
        self.model = models.build_model(self.processor, seed)
        share_roots(self.model, self.processor.tokenizer)
        share_digits(self.model, self.processor.tokenizer)
        self.heads = perception.Heads(models.TOWER_WIDTH)
        self.compare = Comparison(models.TEXT_WIDTH)
        self.names = Names(self.processor.tokenizer)
        reader = self.model.model.language_model
        self.reader: Any = torch.compile(reader, dynamic=False) if compiled else reader

    def start(self, folder: Path) -> None:
        """Begin with the weights in a folder; the heads start anew."""
        from transformers import LlavaForConditionalGeneration

        other = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model.load_state_dict(other.state_dict())

    def _seed(self, stage: Stage) -> str:
        """What this process trains on from here: no two processes, stages or sittings alike."""
        return f"{self.seed}|{stage.name}|{stage.step}|{self.team.rank}"

    def see(
        self, exhibits: Shows, minutes: float, batch: int = 18, steps: int | None = None
    ) -> None:
        """Stage "perception"."""
        tower = self.model.model.vision_tower
        modules = {"tower": tower, "heads": self.heads}
        stage = Stage("perception", modules, self.state, self.log, self.team, faster=LOOKING_LR)
        stream = exhibits(self._seed(stage))
        stage.run(
            minutes,
            lambda: self._look(stream, batch, report=stage.step % LOG_EVERY == LOG_EVERY - 1),
            lambda: None,
            steps,
        )

    def _look(
        self, stream: Callable[[], Exhibit], batch: int, *, report: bool
    ) -> tuple[torch.Tensor, dict[str, float]]:
        pixels, wanted = look([stream() for _ in range(batch)])
        assert pixels is not None
        said = self.heads(perception.features(self.model, pixels))
        total = torch.stack(list(perception.losses(said, wanted).values())).sum()
        if not report:
            return total, {}
        return total, {"loss": float(total.detach()), **perception.accuracy(said, wanted)}

    def read(
        self, minutes: float, pause: Callable[[], None], *, written: int, steps: int | None = None
    ) -> None:
        """Stage "words": the decoder alone. A row costs half of one in "language"."""
        modules = {"text": self.model.model.language_model}
        stage = Stage("words", modules, self.state, self.log, self.team, faster=READING_LR)
        packer = Packer(self.processor.tokenizer)
        lessons = Lessons(packer, None, self._seed(stage), pictured=0, written=written)
        stage.run(minutes, self._losses(lessons), pause, steps)

    def _losses(self, lessons: Lessons) -> Losses:
        return lambda: lesson_loss(
            self.model, self.heads, self.compare, self.names, lessons, self.reader
        )

    def speak(
        self,
        exhibits: Shows,
        minutes: float,
        pause: Callable[[], None],
        *,
        pictured: int,
        written: int,
    ) -> None:
        """Stage "language"."""
        modules: dict[str, torch.nn.Module] = {
            "model": self.model,
            "heads": self.heads,
            "compare": self.compare,
        }
        stage = Stage("language", modules, self.state, self.log, self.team, faster=READING_LR)
        seed = self._seed(stage)
        lessons = Lessons(
            Packer(self.processor.tokenizer),
            exhibits(seed),
            seed,
            pictured=pictured,
            written=written,
            looked_at=LOOKED_AT,
        )
        stage.run(minutes, self._losses(lessons), pause)

    def export(self) -> None:
        """Write the folder that `from_pretrained` reads."""
        models.save(self.model, self.processor, self.weights)

    def report(self, label: str, samples: int) -> None:
        """Measure both suites by `samples` questions of each measure, and log the values."""
        self.model.eval()  # type: ignore[no-untyped-call]
        policy = Policy(self.model, self.processor, "nano in training")
        for suite in (suites.perception(), suites.words()):
            measures = measures_of(suite, samples)
            score, _ = evaluate_suite(policy, suite, measures, blind=False, progress=False)
            values = {key: round(each.value or 0.0, 3) for key, each in score.measures.items()}
            self.log(report=label, suite=suite.name, **values)
        self.model.train()


def in_passing(samples: int) -> int:
    """How many probes a report in the middle of a build asks: it costs a quarter."""
    return max(1, samples // 4)


def train(rank: int, options: argparse.Namespace, meeting: Path) -> None:
    """One process of the team: all stages; the leader also measures and exports."""
    leave_with_parent()
    team = Team.meet(rank, options.workers, meeting)
    weights = options.weights or options.out / "weights"
    build = Build(options.out, options.seed, weights, team, compiled=options.compile)
    if options.start:
        build.start(options.start)
    library = Library.load(options.out / "corpus")
    see, read, speak = options.minutes
    build.see(partial(library.exhibits, LOOKING), see)
    pictured, written = options.rows
    build.read(read, build.export, written=pictured + written)

    def pause() -> None:
        build.export()
        build.report("interim", in_passing(options.report))

    build.speak(
        partial(library.exhibits, SPEAKING), speak, pause, pictured=pictured, written=written
    )
    if team.leads:
        build.report("final", options.report)
        build.export()


@torch.no_grad()
def share_roots(model: Any, tokenizer: Any) -> None:
    """Start "Red" where "red" starts, and "cubes" where "cube" does.

    Text in any amount shows a pretrained model that these go together; a few
    hours of practice do not. Alone it is not enough: requests must also name
    shapes often (`things.NAMED`).
    """
    table = model.model.language_model.embed_tokens.weight
    known = tokenizer.get_vocab()
    for one, many in PLURALS.items():
        root, plural = (known[f"▁{word}"] for word in (one, many))  # as after a space
        table[plural] = table[root] + OWN_SHARE * table[plural]
    for token, index in known.items():
        lower = known.get(token.lower())
        if lower is not None and lower != index and len(token) > 2:
            table[index] = table[lower] + OWN_SHARE * table[index]


@torch.no_grad()
def share_digits(model: Any, tokenizer: Any) -> None:
    """Start every number above twenty as the sum of its digits, each in its place.

    A number read off an image is known digit by digit, and sums go by digits too.
    """
    table = model.model.language_model.embed_tokens.weight
    known = tokenizer.get_vocab()
    spread = float(table.std())
    places = torch.randn(3, 10, table.shape[1]) * spread / math.sqrt(3)
    for number in range(len(NUMBERS), BIGGEST_NUMBER + 1):
        index = known[f"▁{number}"]
        digits = enumerate(map(int, f"{number:03d}"))
        root = torch.stack([places[place, digit] for place, digit in digits]).sum(0)
        table[index] = root + OWN_SHARE * table[index]
