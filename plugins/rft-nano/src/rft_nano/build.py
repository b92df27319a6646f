"""Make `nano` from nothing: `python -m rft_nano.build --out FOLDER`.

Four stages: the corpus is rendered and packed, the tower learns to see, the
decoder learns to read without pictures, both learn to speak of what is seen.
Each saves its progress; run the command again to go on after a stop, or with
more minutes to train for longer. The same seed gives the same data in the same
order; how far training comes in its minutes depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from rft_nano import model as models
from rft_nano import perception
from rft_nano.comparison import Comparison
from rft_nano.corpus.library import LOOKING, SPEAKING, Library, Sizes
from rft_nano.corpus.streams import Exhibit
from rft_nano.language import Lessons, lesson_loss, look
from rft_nano.naming import Names
from rft_nano.optim import Both
from rft_nano.rows import Packer
from rft_nano.suites import perception as perception_suite
from rft_nano.suites import words as words_suite
from rft_nano.team import Team
from rft_nano.words import BIGGEST_NUMBER, NUMBERS, PLURALS
from rftcore.distributed import leave_with_parent
from rftcore.evaluation.suites import evaluate_suite, measures_of
from rftcore.models.policy import Policy

MUON_LR, ADAM_LR = 2e-3, 1.5e-3
LOOKING_LR, READING_LR = 2.0, 0.4  # times these: the tower alone, whatever has the decoder in it
WARM_UP_STEPS = 60
DECAY = 0.5  # the last share of a stage, over which the learning rate falls to nearly nothing
LOOKED_AT = 8  # pictures without words in each step of "language", per process
SAVE_EVERY_S, EXPORT_EVERY_S, LOG_EVERY = 120.0, 1800.0, 50
OWN_SHARE = 0.3  # of a plural's and a capital's first embedding; the rest is that of its root
Losses = Callable[[], tuple[torch.Tensor, dict[str, float]]]
Shows = Callable[[str], Callable[[], Exhibit]]  # a stream of exhibits from a seed


class Log:
    """Lines of JSON on disk and, short, on the terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, **record: Any) -> None:
        """Append one record."""
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in record.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(rounded) + "\n")
        print(rounded, flush=True)


class Stage:
    """A loop bounded by minutes that can be stopped and taken up again."""

    def __init__(
        self,
        name: str,
        modules: dict[str, torch.nn.Module],
        folder: Path,
        log: Log,
        team: Team,
        *,
        faster: float = 1.0,
    ) -> None:
        self.name, self.modules, self.log, self.team = name, modules, log, team
        both = torch.nn.ModuleDict(modules)
        self.optimiser = Both(both, muon_lr=faster * MUON_LR, adam_lr=faster * ADAM_LR, team=team)
        self.path = folder / f"{name}.pt"
        self.elapsed_s, self.step = 0.0, 0
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.elapsed_s, self.step = state["elapsed_s"], state["step"]
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        for part, saved in zip(self.optimiser.parts, state["optimiser"], strict=True):
            part.load_state_dict(saved)

    def save(self) -> None:
        """Write modules, optimisers and position, atomically."""
        state: dict[str, Any] = {name: module.state_dict() for name, module in self.modules.items()}
        state["optimiser"] = [part.state_dict() for part in self.optimiser.parts]
        state |= {"elapsed_s": self.elapsed_s, "step": self.step}
        torch.save(state, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)

    def scale(self, done: float) -> float:
        """Learning rate factor: a ramp, a plain, a linear descent to 2 %."""
        return min(1.0, (self.step + 1) / WARM_UP_STEPS) * max(0.02, min(1.0, (1 - done) / DECAY))

    def run(
        self,
        minutes: float,
        losses: Losses,
        pause: Callable[[], None],
        steps: int | None = None,
    ) -> None:
        """Train until `minutes`, or `steps`, are used up; the leader calls `pause` every ten."""
        last = saved = exported = time.monotonic()
        while (done := self._done(minutes, steps)) < 1:
            record = self._learn(losses, self.scale(done))
            now = time.monotonic()
            self.elapsed_s = self.team.from_leader(self.elapsed_s + now - last)
            if self.step % LOG_EVERY == 0 and self.team.leads:
                self.log(
                    stage=self.name,
                    step=self.step,
                    elapsed_s=self.elapsed_s,
                    step_s=now - last,
                    **record,
                )
            last = time.monotonic()
            if now - saved > SAVE_EVERY_S and self.team.leads:
                self.save()
                saved = now
            if now - exported > EXPORT_EVERY_S and self.team.leads:
                pause()
                exported = last = time.monotonic()
        if self.team.leads:
            self.save()

    def _done(self, minutes: float, steps: int | None) -> float:
        """How much of the stage is behind us, from 0 to 1; no minutes leave it out."""
        if minutes <= 0:
            return 1.0
        return max(self.elapsed_s / (minutes * 60), self.step / steps if steps else 0.0)

    def _learn(self, losses: Losses, scale: float) -> dict[str, float]:
        loss, record = losses()
        loss.backward()  # type: ignore[no-untyped-call]
        for module in self.modules.values():
            self.team.mean_gradients(module.parameters())
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self.optimiser.step(scale)
        self.step += 1
        return record


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
        """Write the folder that `from_pretrained` reads, and the log beside it."""
        models.save(self.model, self.processor, self.weights)
        part = self.weights / "build.log.jsonl.part"
        part.write_text(self.log.path.read_text() if self.log.path.exists() else "")
        part.replace(self.weights / "build.log.jsonl")

    def report(self, label: str, samples: int) -> None:
        """Measure both suites, and log each value."""
        policy = Policy(self.model.eval(), self.processor, "nano in the making")
        for suite in (perception_suite(samples=samples), words_suite(samples=samples)):
            measures = measures_of(suite)
            score, _ = evaluate_suite(policy, suite, measures, blind=False, progress=False)
            values = {key: round(each.value, 3) for key, each in score.measures.items()}
            self.log(report=label, suite=suite.name, **values)
        self.model.train()


@torch.no_grad()
def share_roots(model: Any, tokenizer: Any) -> None:
    """Start "Red" where "red" starts, and "cubes" where "cube" does.

    Text in any amount shows a pretrained model that these go together; a few
    hours of practice do not. Alone it is not enough: requests must also name
    shapes often (`things.NAMED`; docs/experiments.md has both figures).
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

    A number read off a picture is known digit by digit, and sums go by digits too.
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


def at_least_one(text: str) -> int:
    """A number on the command line that may not be zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def in_passing(samples: int) -> int:
    """How many probes a report in the middle of a build asks: it costs a quarter."""
    return max(1, samples // 4)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--out", type=Path, required=True, help="working folder: corpus, state, log"
    )
    parser.add_argument("--weights", type=Path, help="where the model goes (default: OUT/weights)")
    parser.add_argument(
        "--minutes",
        type=float,
        nargs=3,
        default=(45.0, 25.0, 75.0),
        metavar=("SEE", "READ", "SPEAK"),
        help="of each stage; with more than before, training goes on; 0 leaves it out",
    )
    sizes = Sizes()
    parser.add_argument(
        "--start", type=Path, help="weights to begin with, such as those of another machine"
    )
    parser.add_argument("--scenes", type=int, default=sizes.scenes)
    parser.add_argument("--starts", type=int, default=sizes.starts, help="first pictures of pairs")
    parser.add_argument("--diagrams", type=int, default=sizes.diagrams)
    parser.add_argument(
        "--report", type=at_least_one, default=200, help="probes per measure in the last report"
    )
    parser.add_argument(
        "--rows",
        type=int,
        nargs=2,
        default=(6, 5),
        metavar=("PICTURED", "WRITTEN"),
        help="rows per step and process",
    )
    parser.add_argument("--cache", type=Path, help="rendered pictures (default: rft's cache)")
    parser.add_argument(
        "--compile", action="store_true", help="compile the decoder; needs a C++ compiler"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that train together")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """All stages, in order."""
    from rft_scenes import scene_pictures

    options = arguments()
    sizes = Sizes(options.scenes, options.starts, options.diagrams)
    Library.make(options.out / "corpus", sizes, scene_pictures(directory=options.cache))
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "team"
        multiprocessing.spawn(train, (options, meeting), nprocs=options.workers)  # type: ignore


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


if __name__ == "__main__":
    main()
