"""Tasks whose parser is at fault."""

import re
from dataclasses import dataclass

from sound_task import task

from rftcore import tags
from rftcore.parsers import Integer, in_tags
from rftcore.types import Parsed


@dataclass(frozen=True)
class Reader:
    """Reads 0 to 99, and is for a subclass to get wrong."""

    def parse(self, completion):
        return in_tags(completion, self.gold)

    def gold(self, text):
        return Integer(0, 99).gold(text)

    def show(self, value):
        return str(value)


class Quadratic(Reader):
    def parse(self, completion):
        return super().parse(re.sub(r"\s+$", "", completion))


def parser_near_linear():
    return task(parser=Quadratic())


class Raising(Reader):
    def gold(self, text):
        text = text.strip()[:9]
        return Parsed(int(text)) if text.isdigit() else Parsed(error="no number")


def parser_total():
    return task(parser=Raising())


def golds_parse():
    return task(parser=Integer(0, 5))


class Wordy(Reader):
    def show(self, value):
        return f"{value} dots"


def parser_round_trip():
    return task(parser=Wordy())


class Padded(Reader):
    def show(self, value):
        return "0" * (hash(f"dots {value}") % 3) + str(value)


def parser_same_in_other_process():
    return task(parser=Padded())


class OneLine(Reader):
    def parse(self, completion):
        broken = "<answer>\n" in completion
        return Parsed(error="a line break") if broken else super().parse(completion)


def parser_reads_target():
    return task(parser=OneLine())


class NoTabs(Reader):
    def parse(self, completion):
        return Parsed(error="a tab") if "\t" in completion else super().parse(completion)


def parser_ignores_space():
    return task(parser=NoTabs())


class Drafts(Reader):
    def parse(self, completion):
        reasoning, _, _ = completion.rpartition("</think>")
        draft = re.search(r"<answer>(\d)</answer>", reasoning)
        return self.gold(draft[1]) if draft else super().parse(completion)


def parser_ignores_reasoning():
    return task(parser=Drafts())


class LastOne(Reader):
    def parse(self, completion):
        blocks = re.findall(r"<answer>([^<]*+)</answer>", completion.rpartition("</think>")[2])
        return self.gold(blocks[-1]) if blocks else Parsed(error="no answer")


def parser_one_answer():
    return task(parser=LastOne())


class Lenient(Reader):
    def parse(self, completion):
        _, opened, answer = completion.rpartition("</think>\n<answer>")
        if opened and not tags.has_tags(answer):
            return self.gold(answer.partition("<")[0])
        return super().parse(completion)


def parser_rejects_unfinished():
    return task(parser=Lenient())


class Undefined(Reader):
    def gold(self, text):
        return Parsed(float("nan")) if text.strip() == "NaN" else super().gold(text)


def parser_self_equal():
    return task(parser=Undefined())
