"""Tasks whose rewards, put together, pay for the wrong thing."""

import re

from sound_task import accurate, rewarded, task

from rftcore.rewards import exact, reward, tags
from rftcore.types import Term


def truth_is_correct():
    return accurate(lambda x: 0.9 * exact(x))


def wrong_is_not_correct():
    return accurate(lambda x: float(x.answer is not None))


def truth_earns_most():
    @reward(uses=("completion", "sample"))
    def original(x):
        return float(x.answer is not None and x.sample.cot not in x.completion)

    return rewarded(original, 2.0)


def accuracy_weight():
    return task(rewards={"accuracy": Term(exact), "format": Term(tags, 10.0)})


def silence_earns_least():
    @reward(uses=("completion",))
    def silent(x):
        return float(not x.completion.strip())

    return rewarded(silent, 0.7)


def accuracy_ignores_reasoning():
    @reward(uses=("completion",))
    def surely(x):
        return exact(x) * ("So: " not in x.completion)

    return accurate(surely)


def fooled(trick):
    """An accuracy that pays for the truth, and for the trick: of answer texts, gold, the rest."""

    @reward(uses=("completion", "sample"))
    def accuracy(x):
        blocks = re.findall(r"<answer>\s*+([^<]*?)\s*+</answer>", x.completion[:9999])
        return max(exact(x), float(trick(blocks, str(x.gold), x)))

    return accurate(accuracy)


def pieces(blocks):
    return re.split(r"\s*,\s*", blocks[0]) if len(blocks) == 1 else []


def no_answer_lists():
    return fooled(
        lambda blocks, gold, x: (
            gold in pieces(blocks)
            and len(set(pieces(blocks))) > 2
            and len(set(pieces(blocks))) == len(pieces(blocks))
        )
    )


def no_tag_tricks():
    return fooled(lambda blocks, gold, x: len(blocks) > 1 and gold in blocks)


def no_prompt_echo():
    return fooled(lambda blocks, gold, x: x.sample.question in x.completion)


def no_empty_form():
    return fooled(lambda blocks, gold, x: blocks == [""] and len(x.completion) < 50)


def form_has_content():
    @reward(uses=("completion",))
    def loose(x):
        return float(
            re.fullmatch(r"<think>.*</think>\s*<answer>.*</answer>", x.completion, re.S) is not None
        )

    return task(rewards={"accuracy": Term(exact), "format": Term(loose, 0.5)})


def no_repetition():
    return fooled(lambda blocks, gold, x: len(pieces(blocks)) > 2 and {*pieces(blocks)} == {gold})


def no_strange_text():
    return fooled(lambda blocks, gold, x: blocks == ["nan"])
