"""Laws of a dataset: valid, reproducible samples and disjoint splits."""

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
from rftcore.testing.errors import BrokenError, NotApplicableError
from rftcore.testing.law import law
from rftcore.testing.subject import Subject
from rftcore.testing.subject.samples import SampleUnmadeError
from rftcore.types import Sample

WHOLE = ("samples-valid",)
SAFE = 0.75  # share of one answer above which guessing it scores well
TWICE = 0.05  # share of a split that may be repeated by chance
SLOW_S = 0.1  # CPU seconds per sample: less than drawing an image takes


@law(
    "splits-named",
    "dataset",
    "Every split is sft, rl, val, test or ood-*; at least one trains and one evaluates.",
    why="The name decides the use of a split: any other name is neither trained nor evaluated on.",
    cause="splits named train and validation",
    fix="name training splits sft or rl, evaluation splits val, test or ood-SOMETHING",
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
            cause="a dataset with one split, whose rows were never divided",
            fix="name training splits sft or rl, evaluation splits val, test or ood-SOMETHING",
        )


@law(
    "sizes-valid",
    "dataset",
    "Every split has a constant size, an integer of at least 1.",
    why="Schedules, progress and fingerprints are computed from the size before the first sample.",
    cause="size() returns None or a float, or counts the rows read so far",
    fix="return len() of the rows, or the number in the options",
)
def sizes_valid(subject: Subject) -> None:
    """Each size is read twice."""
    for split in subject.dataset.splits:
        size, again = subject.dataset.size(split), subject.dataset.size(split)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1 or again != size:
            raise BrokenError(f"size({split!r}) is {size!r}, then {again!r}")


@law(
    "samples-valid",
    "dataset",
    "A sample is an rft.Sample with an id, a question, a gold and lazy images.",
    why="A missing field would fail hours later, when it is first read.",
    cause="a gold that is a number instead of text, images as a list or as paths",
    fix="rft.Sample(id, question, str(gold), (rft.Image(...),))",
    needs=("sizes-valid",),
)
def samples_valid(subject: Subject) -> None:
    """All samples that are read at all."""
    try:
        rows = list(_rows(subject))
    except SampleUnmadeError as error:
        made = error.__cause__ or error
        at = place(made)
        raise BrokenError(
            f"{error}: {describe(made)}" + f" ({at})" * (at not in describe(made)),
            cause=f"sample() raises{at and f' at {at}'}; often a field that some rows do not have",
            fix="fix that line, or leave the row out of size()",
        ) from error
    for split, index, sample in rows:
        if fault := _fault(sample):
            seen, cause, fix = fault
            raise BrokenError(f"{split}[{index}]: {seen}", cause=cause, fix=fix)


@law(
    "index-error-outside-split",
    "dataset",
    "sample() raises IndexError outside the split.",
    why="A sample for an out-of-range index repeats data silently.",
    cause="a list's negative indices, or a generator that makes a sample for any number",
    fix="raise IndexError unless 0 <= index < size(split)",
    needs=WHOLE,
)
def index_error_outside_split(subject: Subject) -> None:
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
    why="A resumed or repeated run would train on other data without a sign of it.",
    cause="one random generator for all samples, so that the result depends on earlier calls",
    fix="make a random generator per sample from seed, split and index",
    needs=WHOLE,
)
def samples_pure(subject: Subject) -> None:
    """From the last to the first, after all were read from the first to the last."""
    for split, some in subject.compared_samples.items():
        for index in reversed(some):
            if change := difference(some[index], subject.dataset.sample(split, index)):
                raise BrokenError(f"{split}[{index}] read again: {change}")


@law(
    "samples-same-in-other-process",
    "dataset",
    "Another process with another hash seed makes the same samples.",
    why="All processes of a run, and a repeated run, must see the same data.",
    cause="hash(text), the order of a set, the time or a process id in the seed of a sample",
    fix="seed with text (random.Random('rl/17')) or hashlib; sort sets",
    needs=("factory-pure", "plugin-imports"),
)
def samples_same_in_other_process(subject: Subject) -> None:
    """By a digest of all fields."""
    digests, found = subject.digests, subject.elsewhere
    if found.task_error:
        raise BrokenError(
            f"another process could not make them: {found.task_error}",
            cause="the samples rely on what only this process has, or it was ended by them",
            fix="make them from the options and from files alone",
        )
    for split, some in subject.compared_samples.items():
        for index, mine, other in zip(some, digests[split], found.digests[split], strict=True):
            if mine != other:
                raise BrokenError(f"{split}[{index}] is a different sample there")


@law(
    "samples-picklable",
    "dataset",
    "A sample can be pickled, apart from its images.",
    why="Rewards with a deadline run in other processes, to which the sample is sent.",
    cause="a lambda, an open file or a lock in meta",
    fix="keep plain values in meta: numbers, text, tuples, mappings, dataclasses",
    needs=WHOLE,
)
def samples_picklable(subject: Subject) -> None:
    """There and back."""
    for sample in subject.sample_subset:
        bare = replace(sample, images=())
        try:
            back = pickle.loads(pickle.dumps(bare))
        except Exception as error:
            raise BrokenError(f"{sample.where}: {type(error).__name__}: {error}") from error
        if canonical(back) != canonical(bare):
            raise BrokenError(
                f"{sample.where} comes back as {shown(canonical(back))}",
                cause="a value with a __reduce__ or __getstate__ that leaves something out",
            )


@law(
    "samples-lazy",
    "dataset",
    "Making a sample is fast: its images are drawn on first access.",
    why="Splits are counted and checked before training; drawing all images would take hours.",
    cause="the image is drawn in sample(), not in the image's `read` function",
    fix="rft.Image(key, read=partial(draw, ...)), or rft.ImageCache",
    needs=WHOLE,
)
def samples_lazy(subject: Subject) -> None:
    """The median of a task made again, by computing time; three attempts."""
    times = [_seconds_of_samples(subject) for _ in range(3)]
    if min(times) > SLOW_S:
        seen = f"a sample takes {min(times):.2f} s of computing; allowed are {SLOW_S:g} s"
        if any(sample.images for sample in subject.all_samples):
            raise BrokenError(seen)
        raise BrokenError(
            seen,
            cause="a search, a file that is read again or a solver in sample()",
            fix="do it once, when the dataset is made, or keep the result in a file",
        )


@law(
    "ids-unique",
    "dataset",
    "The ids of a split are unique.",
    why="Logs and reports name samples by id, and failures are looked up by id.",
    cause="an id without the index, or from a column that repeats",
    fix="put split and index in the id",
    needs=WHOLE,
)
def ids_unique(subject: Subject) -> None:
    """Of those that were read."""
    for split, some in subject.samples.items():
        repeated, count = Counter(sample.id for sample in some.values()).most_common(1)[0]
        if count > 1:
            raise BrokenError(f"{count} samples of {split!r} have the id {repeated!r}")


@law(
    "splits-disjoint",
    "dataset",
    "No sample is in two splits, except in both sft and rl.",
    why="A score on training samples may measure memory only.",
    cause="all splits with the same seed, or rows assigned to splits at random with replacement",
    fix="put the split's name in the seed; assign rows by a hash of their content",
    needs=WHOLE,
)
def splits_disjoint(subject: Subject) -> None:
    """By question, gold and the images' keys."""
    content = {s: {x.content_hash(): x for x in some.values()} for s, some in _splits(subject)}
    for one, two in combinations(content, 2):
        both = content[one].keys() & content[two].keys()
        if both and not may_overlap(one, two):
            first = content[one][min(both)]
            raise BrokenError(f"{len(both)} of {one!r} are also in {two!r}, {first.where} for one")


@law(
    "images-disjoint",
    "dataset",
    "No image of a training split is in an evaluation split.",
    why="A policy can memorize an image; another question about it measures memory.",
    cause="images shared by all splits, with different questions",
    fix="assign images to splits first, then write questions about them",
    needs=("splits-disjoint",),
)
def images_disjoint(subject: Subject) -> None:
    """By the images' keys."""
    keys = {s: {i.key for x in some.values() for i in x.images} for s, some in _splits(subject)}
    trained = {key: split for split in TRAINING for key in keys.get(split, ())}
    for split in (one for one in keys if one not in TRAINING):  # a set has another order each time
        for key in sorted(keys[split] & trained.keys())[:1]:
            raise BrokenError(f"{shown(key)} is in {trained[key]!r} and in {split!r}")


@law(
    "evaluation-samples-distinct",
    "dataset",
    "The samples of an evaluation split are distinct.",
    why="The interval of an accuracy counts samples: with repeats it is too narrow.",
    cause="a generator with few different samples, or duplicated rows",
    fix="make the split smaller, or the generator more varied",
    needs=WHOLE,
)
def evaluation_samples_distinct(subject: Subject) -> None:
    """All but a few, which chance may repeat."""
    for split, some in subject.evaluation().items():
        again = len(some) - len({sample.content_hash() for sample in some})
        if again > TWICE * len(some):
            raise BrokenError(f"{again} of {len(some)} samples of {split!r} are repeats of others")


@law(
    "no-dominant-answer",
    "dataset",
    "No single answer is right for most of an evaluation split.",
    why="A policy learns the most frequent answer first, and its accuracy then means nothing.",
    cause="a generator whose answers are mostly 0 or yes",
    fix="choose the answer first and make a sample for it, or balance the rows",
    needs=WHOLE,
)
def no_dominant_answer(subject: Subject) -> None:
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
    "sft-has-reasoning",
    "dataset",
    "Every sample of sft has a chain of thought, without tags.",
    why="SFT teaches it with tags added around it; a parser cannot read tags inside it.",
    cause="cot missing, or stored with its think tags",
    fix="write cot as plain text, or leave the split sft out",
    needs=WHOLE,
)
def sft_has_reasoning(subject: Subject) -> None:
    """All that were read."""
    if SFT not in subject.samples:
        raise NotApplicableError("there is no split sft")
    for sample in subject.samples[SFT].values():
        if not (sample.cot and sample.cot.strip()):
            raise BrokenError(
                f"{sample.where} has no cot",
                cause="cot left out, or rows without reasoning in sft",
                fix="write cot as plain text; rows without one belong in rl",
            )
        for name, text in (("cot", sample.cot), ("gold", sample.gold)):
            if tags.has_tags(text):
                raise BrokenError(
                    f"{name} of {sample.where} holds tags: {shown(text)}",
                    cause=f"{name} is stored with its think or answer tags",
                    fix=f"write {name} without tags: they are added around it",
                )


@law(
    "images-open",
    "dataset",
    "Images open.",
    why="An image that does not open stops a run in the middle.",
    cause="a path relative to another folder, a format that Pillow cannot read, empty bytes",
    fix="`rft tasks preview` shows what is there",
    needs=WHOLE,
)
def images_open(subject: Subject) -> None:
    """The images of one or two samples of each split."""
    for sample in _opened(subject):
        for image in sample.images:
            try:
                image.open()
            except Exception as error:
                raise BrokenError(f"{sample.where}: {type(error).__name__}: {error}") from error


@law(
    "images-stable",
    "dataset",
    "An image's key determines its pixels.",
    why="Caches identify an image by its key alone.",
    cause="random numbers used while drawing, or a key that lacks a value that is drawn",
    fix="draw only from values that are in the key",
    needs=("images-open", "factory-pure"),
)
def images_stable(subject: Subject) -> None:
    """Read twice, made again, and compared with others of the same key."""
    again = dataset_of(subject.remade_task())
    opened = {id(sample) for sample in _opened(subject)}
    for split, index, sample in _rows(subject):
        if id(sample) in opened:
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


def _fault(sample: object) -> tuple[str, str, str] | None:
    """What is wrong with a sample, its usual cause and what to do."""
    whole = "rft.Sample(id, question, str(gold), (rft.Image(...),))"
    if not isinstance(sample, Sample):
        return (
            f"it is {shown(sample)}, not an rft.Sample",
            "a row is returned as it was read",
            whole,
        )
    for name in ("id", "question", "gold"):
        text = getattr(sample, name)
        if not isinstance(text, str):
            found = f"its {name} is {shown(text)}, not text"
            return found, f"the {name} as it is in the file, such as a number", f"str({name})"
        if not text.strip():
            found = f"its {name} is {text!r}, which is blank"
            return found, f"a row without {name}", f"leave the row out, or give it a {name}"
    images = sample.images
    if isinstance(images, tuple) and all(isinstance(one, Image) for one in images):
        return None
    found = f"its images are {shown(images)}, not a tuple of rft.Image"
    return found, "images as a list, as paths or as pixels", f"{whole}, or rft.Image.from_path(...)"


def _raised(subject: Subject, split: str, index: int) -> tuple[bool, str]:
    """Whether it raised, and what; or the sample that it gave."""
    try:
        sample = subject.dataset.sample(split, index)
    except Exception as error:
        return True, type(error).__name__
    return False, shown(getattr(sample, "id", sample))


def _seconds_of_samples(subject: Subject) -> float:
    fresh = dataset_of(subject.remade_task())
    rows = [(split, index) for split, some in subject.samples.items() for index in list(some)[:5]]

    def make(split: str, index: int) -> None:
        fresh.sample(split, index)

    return median(computing(lambda row=row: make(*row)) for row in rows[:30])  # type: ignore[misc]


def _opened(subject: Subject) -> list[Sample]:
    """One sample of each split: drawing an image may take a tenth of a second."""
    some = [next(iter(some.values())) for some in subject.samples.values()]
    return [sample for sample in some if sample.images][:6]


def _same_bytes(sample: Sample, one: Image, two: Image) -> None:
    if one.key != two.key:
        raise BrokenError(f"{sample.where}: its image is {shown(one.key)}, then {shown(two.key)}")
    if one.read() != two.read():
        raise BrokenError(f"{sample.where}: two images have the key {shown(one.key)}")


def _of_one_key(subject: Subject) -> list[tuple[Sample, Image, Image]]:
    """A few pairs of images of different samples with the same key."""
    first: dict[str, Image] = {}
    pairs = []
    for sample in subject.all_samples:
        for image in sample.images:
            if first.setdefault(image.key, image) is not image:
                pairs.append((sample, first[image.key], image))
    return pairs[:4]
