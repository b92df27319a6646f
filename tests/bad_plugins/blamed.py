"""Tasks that break a law in another way than its usual one: each has a cause of its own."""

from dataclasses import replace

from sound_task import Dots, accurate, rewarded, sampled, task

import rftcore as rft
from rftcore.errors import SampleError
from rftcore.rewards import exact, reward, symbolic
from rftcore.types import Term


def image_of_nothing():
    def change(sample, split, index):
        if index == 3:
            return replace(sample, images=(rft.Image.from_bytes(None),))
        return sample

    return sampled(change)


def key_missing():
    return sampled(lambda sample, split, index: replace(sample, question=sample.meta["text"]))


def question_blank():
    return sampled(lambda sample, split, index: replace(sample, question=" "))


def images_listed():
    return sampled(lambda sample, split, index: replace(sample, images=[*sample.images]))


class Lookup(Dots):
    def sample(self, split, index):
        return {at: self.made(split, at) for at in range(self.length)}[index]


def bounds_by_key():
    return task(dataset=Lookup())


def nothing_to_measure():
    return task(dataset=Dots(splits=("sft", "rl")))


def nothing_to_train_on():
    return task(dataset=Dots(splits=("val", "test")))


def tags_in_cot():
    return sampled(lambda sample, split, index: replace(sample, cot="<think>3</think>"))


def prompt_key():
    return task(prompt=lambda sample: rft.Prompt(sample.meta["text"], sample.images))


def prompt_text():
    return task(prompt=lambda sample: sample.question)


def reward_key():
    @reward(uses=("sample",))
    def keyed(x):
        return exact(x) if x.sample.id != "sft-2" else x.sample.meta["entri"]

    return rewarded(keyed)


def reward_on_answer():
    return rewarded(lambda x: 0.0 if x.answer is None else ((0.0,) * (x.gold + 1))[x.answer])


def reward_as_text():
    return rewarded(lambda x: "1.0" if x.answer is None else exact(x))


def reward_of_numpy():
    def right(x):
        import numpy

        return numpy.bool_(x.answer is not None and x.answer == x.gold)

    return rewarded(right)


def group_of_strangers():
    @reward(uses=("siblings",))
    def first(x):
        return None if x.siblings is None else exact(x) * x.siblings[7]

    return rewarded(first)


def accuracy_none():
    return accurate(lambda x: exact(x) if x.gold != 7 else None)


def tolerant():
    return accurate(lambda x: float(x.answer is not None and abs(x.answer - x.gold) < 5))


def generous():
    def most(x):
        return 0.0 if x.answer is None else 1.0 if x.answer == x.gold else 0.9

    return task(rewards={"accuracy": Term(most)})


def nothing_is_right():
    return accurate(lambda x: float(x.answer is None or x.answer == x.gold))


def words_for_symbolic():
    def change(sample, split, index):
        return replace(sample, gold="\\frac{" if sample.gold == "7" else f"1{sample.gold}")

    return replace(
        sampled(change),
        parser=rft.parsers.Text(),
        rewards={"accuracy": Term(symbolic()), "format": Term(rft.rewards.tags, 0.5)},
    )


def declared_gold():
    @reward(gold_fault=lambda gold: "seven is out of range" if gold == 7 else None)
    def checked(x):
        return exact(x)

    return rewarded(checked)


def raised_gold():
    def picky(x):
        if x.gold == 7 and x.answer != 7:
            raise SampleError("the gold 7 is not known")
        return exact(x)

    return rewarded(picky)


def half_for_ending():
    """What reasoning-gym's verifier does: half the points if the gold is in the answer."""

    def partial(x):
        if x.answer is None:
            return 0.0
        return exact(x) or 0.5 * (str(x.gold) in str(x.answer))

    def change(sample, split, index):
        return replace(sample, gold=str(int(sample.gold) + 10 * (index % 3)))

    return replace(sampled(change), rewards={"accuracy": Term(partial)})
