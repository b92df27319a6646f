"""Laws of a dataset: whole samples, the same everywhere, and splits that prove something."""

import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from statistics import median

from rftcore import tags
from rftcore.datasets.slices import dataset_of
from rftcore.errors import describe, place
from rftcore.images import Image
from rftcore.splits import SFT, TRAINING, is_known, is_training, may_overlap
from rftcore.testing.clock import computing
from rftcore.testing.digests import canonical, difference, shown
from rftcore.testing.law import BrokenError, NotApplicableError, law
from rftcore.testing.subject import SampleUnmadeError, Subject
from rftcore.types import Sample

WHOLE = ("samples-whole",)
SAFE = 0.75  # share of one answer from which guessing it passes for skill
TWICE = 0.05  # share of a split that may stand in it twice by chance
SLOW_S = 0.1  # computing per sample: rather less than drawing a picture takes


@law(
    "splits-named",
    "dataset",
    "Every split is sft, rl, val, test or ood-...; one of the first two and one other are there.",
    why="The names say what a split is for: others are never trained on and never measured.",
    cause="splits named train and validation",
    fix="name what trains sft or rl, and what measures val, test or ood-SOMETHING",
)
def splits_named(subject: Subject) -> None:
    """Names only."""
    splits = subject.dataset.splits
    for split in splits:
        if not is_known(split):
            raise BrokenError(f"there is a split {split!r}")
    trained = [split for split in splits if is_training(split)]
    if not trained or len(trained) == len(splits):
        what = "measure" if trained else "train on"
        raise BrokenError(
            f"there is {', '.join(splits) or 'no split'}: nothing to {what}",
            cause="a dataset of one split, whose rows were never divided",
            fix="name what trains sft or rl, and what measures val, test or ood-SOMETHING",
        )


@law(
    "sizes-whole",
    "dataset",
    "Every split has a size, a whole number of at least 1, and keeps it.",
    why="Schedules, progress and fingerprints are computed from it before the first sample.",
    cause="size() returns None or a float, or counts what was already read",
    fix="return len() of the rows, or the number the options ask for",
)
def sizes_whole(subject: Subject) -> None:
    """Asked twice."""
    for split in subject.dataset.splits:
        size, again = subject.dataset.size(split), subject.dataset.size(split)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1 or again != size:
            raise BrokenError(f"size({split!r}) is {size!r}, then {again!r}")


@law(
    "samples-whole",
    "dataset",
    "A sample is a rft.Sample with an id, a question, a gold and lazy images.",
    why="A missing field is found hours later, by whatever reads it first.",
    cause="a gold that is a number instead of text, images as a list or as paths",
    fix="rft.Sample(id, question, str(gold), (rft.Image(...),))",
    needs=("sizes-whole",),
)
def samples_whole(subject: Subject) -> None:
    """All samples that are read at all."""
    try:
        rows = list(_rows(subject))
    except SampleUnmadeError as error:
        made = error.__cause__ or error
        at = place(made)
        raise BrokenError(
            f"{error}: {describe(made)}" + f" ({at})" * (at not in describe(made)),
            cause=f"sample() raises{at and f' at {at}'}; often a field that some rows do not have",
            fix="repair that line, or leave the row out of size()",
        ) from error
    for split, index, sample in rows:
        if fault := _fault(sample):
            seen, cause, fix = fault
            raise BrokenError(f"{split}[{index}]: {seen}", cause=cause, fix=fix)


@law(
    "bounds-kept",
    "dataset",
    "Outside the split, sample() raises IndexError.",
    why="A negative or too large index that gives a sample repeats data without a word.",
    cause="a list's negative indices, or a generator that makes a sample for any number",
    fix="raise IndexError unless 0 <= index < size(split)",
    needs=WHOLE,
)
def bounds_kept(subject: Subject) -> None:
    """Just outside and far outside."""
    for split in subject.dataset.splits:
        size = subject.dataset.size(split)
        for index in (-1, size, size + 10**6):
            raised, seen = _raised(subject, split, index)
            if seen != "IndexError":
                if raised:
                    raise BrokenError(
                        f"sample({split!r}, {index}) of {size} raised {seen}",
                        cause=f"the index is used before it is checked: {seen} instead of "
                        "IndexError",
                    )
                raise BrokenError(f"sample({split!r}, {index}) of {size} gave {seen}")


@law(
    "samples-pure",
    "dataset",
    "The same index gives the same sample, in any order.",
    why="A run that is resumed or repeated would train on other data, and nobody would know.",
    cause="one random generator for all samples, whose numbers depend on what was asked before",
    fix="make a generator of its own for each sample, from seed, split and index",
    needs=WHOLE,
)
def samples_pure(subject: Subject) -> None:
    """From the last to the first, after all were read from the first to the last."""
    for split, some in subject.asked.items():
        for index in reversed(some):
            if change := difference(some[index], subject.dataset.sample(split, index)):
                raise BrokenError(f"{split}[{index}] asked again: {change}")


@law(
    "samples-everywhere",
    "dataset",
    "Another process with another hash seed makes the same samples.",
    why="The processes of one run, and a run and its repetition, must see the same data.",
    cause="hash(text), the order of a set, the time or a process id in what seeds a sample",
    fix="seed with text (random.Random('rl/17')) or hashlib; sort sets",
    needs=("factory-pure", "plugin-imports"),
)
def samples_everywhere(subject: Subject) -> None:
    """By a digest of all that they say."""
    digests, found = subject.digests, subject.elsewhere
    if found.task_error:
        raise BrokenError(
            f"another process could not make them: {found.task_error}",
            cause="the samples rely on what only this process has, or it was ended by them",
            fix="make them from the options and from files alone",
        )
    for split, some in subject.asked.items():
        for index, mine, other in zip(some, digests[split], found.digests[split], strict=True):
            if mine != other:
                raise BrokenError(f"{split}[{index}] is another sample there")


@law(
    "samples-travel",
    "dataset",
    "A sample can be pickled, its pictures aside.",
    why="Rewards with a deadline run in other processes, and their sample goes with them.",
    cause="a lambda, an open file or a lock in meta",
    fix="keep plain values in meta: numbers, text, tuples, mappings, dataclasses",
    needs=WHOLE,
)
def samples_travel(subject: Subject) -> None:
    """There and back."""
    for sample in subject.few:
        bare = replace(sample, images=())
        try:
            back = pickle.loads(pickle.dumps(bare))
        except Exception as error:
            raise BrokenError(f"{_named(sample)}: {type(error).__name__}: {error}") from error
        if canonical(back) != canonical(bare):
            raise BrokenError(
                f"{_named(sample)} comes back as {shown(canonical(back))}",
                cause="a value with a __reduce__ or __getstate__ that leaves something out",
            )


@law(
    "samples-lazy",
    "dataset",
    "Making a sample is quick: its pictures are drawn when somebody looks.",
    why="Splits are checked and counted before training; drawing all of it would take hours.",
    cause="the picture is drawn in sample(), not in the function that the image is given",
    fix="rft.Image(key, read=partial(draw, ...)), or rft.ImageCache",
    needs=WHOLE,
)
def samples_lazy(subject: Subject) -> None:
    """The median of a task made anew, by computing time; three attempts."""
    times = [_seconds_of_samples(subject) for _ in range(3)]
    if min(times) > SLOW_S:
        seen = f"a sample takes {min(times):.2f} s of computing; allowed are {SLOW_S:g} s"
        if any(sample.images for sample in subject.every):
            raise BrokenError(seen)
        raise BrokenError(
            seen,
            cause="a search, a file that is read again or a solver in sample()",
            fix="do it once, when the dataset is made, or keep the result in a file",
        )


@law(
    "ids-distinct",
    "dataset",
    "No two samples of a split have one id.",
    why="Logs and reports name samples by it, and failures are looked up by it.",
    cause="an id without the index, or from a column that repeats",
    fix="put split and index into the id",
    needs=WHOLE,
)
def ids_distinct(subject: Subject) -> None:
    """Of those that were read."""
    for split, some in subject.samples.items():
        repeated, count = Counter(sample.id for sample in some.values()).most_common(1)[0]
        if count > 1:
            raise BrokenError(f"{count} samples of {split!r} have the id {repeated!r}")


@law(
    "splits-disjoint",
    "dataset",
    "No sample stands in two splits; sft and rl may share.",
    why="A score on what was trained on is memory, and a gain on it proves nothing.",
    cause="every split seeded alike, or rows dealt to the splits at random with repeats",
    fix="let the split's name go into the seed; deal rows by the hash of their content",
    needs=WHOLE,
)
def splits_disjoint(subject: Subject) -> None:
    """By question, gold and pictures' keys."""
    content = {s: {x.content_hash(): x for x in some.values()} for s, some in _splits(subject)}
    for one, two in combinations(content, 2):
        both = content[one].keys() & content[two].keys()
        if both and not may_overlap(one, two):
            first = content[one][min(both)]
            raise BrokenError(
                f"{len(both)} of {one!r} are also in {two!r}, {_named(first)} for one"
            )


@law(
    "pictures-disjoint",
    "dataset",
    "No picture that is trained on is measured on.",
    why="A policy can learn a picture by heart; another question about it measures that.",
    cause="pictures shared by all splits, with other questions",
    fix="deal pictures to splits first, and ask about them then",
    needs=("splits-disjoint",),
)
def pictures_disjoint(subject: Subject) -> None:
    """By the pictures' keys."""
    keys = {s: {i.key for x in some.values() for i in x.images} for s, some in _splits(subject)}
    trained = {key: split for split in TRAINING for key in keys.get(split, ())}
    for split in keys.keys() - {*TRAINING}:
        for key in sorted(keys[split] & trained.keys())[:1]:
            raise BrokenError(f"{shown(key)} is in {trained[key]!r} and in {split!r}")


@law(
    "evaluation-distinct",
    "dataset",
    "A split that measures asks everything once.",
    why="The interval beside an accuracy counts samples: repeats make it look surer than it is.",
    cause="a generator with few different samples, or rows that were copied",
    fix="make the split smaller, or the task richer",
    needs=WHOLE,
)
def evaluation_distinct(subject: Subject) -> None:
    """All but a few, which chance may repeat."""
    for split, some in subject.evaluation().items():
        again = len(some) - len({sample.content_hash() for sample in some})
        if again > TWICE * len(some):
            raise BrokenError(f"{again} of {len(some)} samples of {split!r} are repeats of others")


@law(
    "no-safe-guess",
    "dataset",
    "No answer is right so often that guessing it passes for skill.",
    why="A policy finds the most frequent answer first, and its accuracy says nothing.",
    cause="a generator whose answers are mostly 0 or yes",
    fix="draw the answer first and make the sample for it, or balance the rows",
    needs=WHOLE,
)
def no_safe_guess(subject: Subject) -> None:
    """In every split that measures, of 20 samples at least."""
    splits = {s: some for s, some in subject.evaluation().items() if len(some) >= 20}
    if not splits:
        raise NotApplicableError("no split that measures has 20 samples")
    for split, some in splits.items():
        gold, count = Counter(sample.gold for sample in some).most_common(1)[0]
        if count > SAFE * len(some):
            share = f"{count / len(some):.0%} of {split!r}"
            raise BrokenError(f"{shown(gold)} is the answer to {share}; allowed are {SAFE:.0%}")


@law(
    "sft-reasons",
    "dataset",
    "Every sample of sft has a chain of thought, without tags.",
    why="SFT teaches it; tags are added around it, and tags inside it no parser could read.",
    cause="cot left out, or stored with its think tags",
    fix="write cot as plain text, or leave the split sft out",
    needs=WHOLE,
)
def sft_reasons(subject: Subject) -> None:
    """All that were read."""
    if SFT not in subject.samples:
        raise NotApplicableError("there is no split sft")
    for sample in subject.samples[SFT].values():
        if not (sample.cot and sample.cot.strip()):
            raise BrokenError(
                f"{_named(sample)} has no cot",
                cause="cot left out, or rows without reasoning in sft",
                fix="write cot as plain text; rows without one belong in rl",
            )
        for name, text in (("cot", sample.cot), ("gold", sample.gold)):
            if tags.has_tags(text):
                raise BrokenError(
                    f"{name} of {_named(sample)} holds tags: {shown(text)}",
                    cause=f"{name} is stored with its think or answer tags",
                    fix=f"write {name} without tags: they are added around it",
                )


@law(
    "pictures-open",
    "dataset",
    "Pictures open.",
    why="One that does not stops a run in the middle.",
    cause="a path relative to another folder, a format that Pillow does not know, empty bytes",
    fix="`rft tasks preview` shows what is there",
    needs=WHOLE,
)
def pictures_open(subject: Subject) -> None:
    """The pictures of a sample or two of each split."""
    for sample in _looked_at(subject):
        for image in sample.images:
            try:
                image.open()
            except Exception as error:
                raise BrokenError(f"{_named(sample)}: {type(error).__name__}: {error}") from error


@law(
    "pictures-stable",
    "dataset",
    "A picture's key decides its pixels.",
    why="Caches, fingerprints and the comparison of splits know a picture by its key alone.",
    cause="random numbers drawn while drawing, or a key that leaves out what is drawn",
    fix="draw from values that all stand in the key",
    needs=("pictures-open", "factory-pure"),
)
def pictures_stable(subject: Subject) -> None:
    """Read twice, made anew, and compared with others of the same key."""
    again = dataset_of(subject.again())
    looked = {id(sample) for sample in _looked_at(subject)}
    for split, index, sample in _rows(subject):
        if id(sample) in looked:
            made = again.sample(split, index)
            for one, two in zip(sample.images, made.images, strict=True):
                _same_bytes(sample, one, one)
                _same_bytes(sample, one, two)
    for sample, one, two in _of_one_key(subject):
        _same_bytes(sample, one, two)


def _splits(subject: Subject) -> list[tuple[str, dict[int, Sample]]]:
    return [(split, dict(some)) for split, some in subject.samples.items()]


def _rows(subject: Subject) -> Iterator[tuple[str, int, Sample]]:
    for split, some in subject.samples.items():
        yield from ((split, index, sample) for index, sample in some.items())


def _named(sample: Sample) -> str:
    return sample.origin or f"sample {sample.id}"


def _fault(sample: object) -> tuple[str, str, str] | None:
    """What is wrong with a sample, its usual cause and what to do."""
    whole = "rft.Sample(id, question, str(gold), (rft.Image(...),))"
    if not isinstance(sample, Sample):
        return f"it is {shown(sample)}, no rft.Sample", "a row is returned as it was read", whole
    for name in ("id", "question", "gold"):
        text = getattr(sample, name)
        if not isinstance(text, str):
            said = f"its {name} is {shown(text)}, not text"
            return said, f"the {name} as it stands in a file, such as a number", f"str({name})"
        if not text.strip():
            said = f"its {name} is {text!r}, which is blank"
            return said, f"a row without {name}", f"leave the row out, or give it a {name}"
    images = sample.images
    if isinstance(images, tuple) and all(isinstance(one, Image) for one in images):
        return None
    said = f"its images are {shown(images)}, not a tuple of rft.Image"
    return said, "images as a list, as paths or as pixels", f"{whole}, or rft.Image.from_path(...)"


def _raised(subject: Subject, split: str, index: int) -> tuple[bool, str]:
    """Whether it raised, and what; or the sample that it gave."""
    try:
        sample = subject.dataset.sample(split, index)
    except Exception as error:
        return True, type(error).__name__
    return False, shown(getattr(sample, "id", sample))


def _seconds_of_samples(subject: Subject) -> float:
    fresh = dataset_of(subject.again())
    rows = [(split, index) for split, some in subject.samples.items() for index in list(some)[:5]]

    def make(split: str, index: int) -> None:
        fresh.sample(split, index)

    return median(computing(lambda row=row: make(*row)) for row in rows[:30])  # type: ignore[misc]


def _looked_at(subject: Subject) -> list[Sample]:
    """One sample of each split: a picture may take a tenth of a second to draw."""
    some = [next(iter(some.values())) for some in subject.samples.values()]
    return [sample for sample in some if sample.images][:6]


def _same_bytes(sample: Sample, one: Image, two: Image) -> None:
    if one.key != two.key:
        raise BrokenError(
            f"{_named(sample)}: its picture is {shown(one.key)}, then {shown(two.key)}"
        )
    if one.read() != two.read():
        raise BrokenError(f"{_named(sample)}: two pictures have the key {shown(one.key)}")


def _of_one_key(subject: Subject) -> list[tuple[Sample, Image, Image]]:
    """A few pairs of pictures of different samples that claim to be the same."""
    first: dict[str, Image] = {}
    pairs = []
    for sample in subject.every:
        for image in sample.images:
            if first.setdefault(image.key, image) is not image:
                pairs.append((sample, first[image.key], image))
    return pairs[:4]
