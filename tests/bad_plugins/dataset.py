"""Tasks whose dataset is at fault."""

import os
import time
from dataclasses import dataclass, replace
from functools import cache, partial
from random import Random

from sound_task import Dots, picture, sampled, task

import rftcore as rft


def changed(**fields):
    return sampled(lambda sample, split, index: replace(sample, **fields))


def pictured(key, read=picture):
    """The key is made of split and index; the picture is one shade of `read`."""
    return sampled(
        lambda sample, split, index: replace(
            sample, images=(rft.Image(key.format(split, index), partial(read, 9)),)
        )
    )


def splits_named():
    return task(dataset=Dots(splits=("training", "test")))


class HalfSized(Dots):
    def size(self, split):
        return self.length / 1


def sizes_valid():
    return task(dataset=HalfSized())


def samples_valid():
    return sampled(lambda sample, split, index: replace(sample, gold=int(sample.gold)))


class Endless(Dots):
    def sample(self, split, index):
        return self.made(split, index)


def index_error_outside_split():
    return task(dataset=Endless())


def samples_pure():
    shared = Random(7)
    return sampled(lambda sample, split, index: replace(sample, gold=str(shared.randrange(10))))


def samples_same_in_other_process():
    return sampled(
        lambda sample, split, index: replace(sample, gold=str(hash(f"{split} {index}") % 10))
    )


def samples_picklable():
    return changed(meta={"area": lambda: 3})


def samples_lazy():
    @cache
    def drawn(sample, split, index):
        end = time.process_time() + 0.11
        while time.process_time() < end:
            pass
        return sample

    @dataclass(frozen=True)
    class Slow(Dots):
        @cache  # noqa: B019
        def made(self, split, index):
            return drawn(super().made(split, index).id, split, index) and super().made(split, index)

    return task(dataset=Slow(splits=("rl", "val"), length=2))


def ids_unique():
    return sampled(lambda sample, split, index: replace(sample, id=split))


def splits_disjoint():
    return sampled(lambda sample, split, index: Dots().made("sft", index))


def images_disjoint():
    return sampled(
        lambda sample, split, index: replace(
            sample,
            question=f"How many dots does {split} {index} have?",
            images=(rft.Image(f"picture {index}", partial(picture, 20)),),
        )
    )


def evaluation_samples_distinct():
    def twice(sample, split, index):
        same = Dots().made(split, index // 2) if split == "val" else sample
        return replace(same, id=sample.id)

    return sampled(twice)


def no_dominant_answer():
    return sampled(
        lambda sample, split, index: replace(sample, gold=sample.gold if index % 8 == 0 else "3")
    )


def sft_has_reasoning():
    return sampled(
        lambda sample, split, index: replace(sample, cot=None if split == "sft" else sample.cot)
    )


def images_open():
    return pictured("{0}/{1}", read=lambda shade: b"a picture")


def images_stable():
    return pictured("{0}/{1}", read=lambda shade: picture(os.urandom(1)[0]))
