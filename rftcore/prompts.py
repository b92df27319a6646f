"""Turn a sample into what the policy is shown, and into what SFT teaches.

Training, rollouts and evaluation call the same maker, and `prompt_hash` goes
into the manifest: two runs with one hash asked the same questions.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from rftcore import markup
from rftcore.errors import SampleError
from rftcore.types import Prompt, PromptMaker, Sample


@dataclass(frozen=True)
class _Ask:
    """The question, then the same few words for every sample. A class, so that it pickles."""

    instruction: str

    def __call__(self, sample: Sample) -> Prompt:
        return Prompt(f"{sample.question} {self.instruction}".strip(), sample.images)


def think_then_answer(instruction: str) -> PromptMaker:
    """Ask for reasoning and an answer in tags; `instruction` says what an answer looks like.

    It must not depend on the sample: a prompt chosen by the gold answer leaks it.
    """
    return _Ask(f"{markup.REQUEST} {instruction}".strip())


def direct(instruction: str = "") -> PromptMaker:
    """Ask for the bare answer, e.g. for the zero-shot row."""
    return _Ask(instruction)


def sft_target(sample: Sample) -> str:
    """The completion that SFT teaches: the sample's CoT and gold in tags.

    Raises: SampleError if there is no CoT, or if a piece holds tags of its own,
    which would teach a completion that no parser reads.
    """
    where = sample.origin or f"sample {sample.id}"
    if not (sample.cot and sample.cot.strip()):
        raise SampleError(f"{where}: no reasoning (cot) to learn from; SFT needs it")
    for name, text in (("cot", sample.cot), ("gold", sample.gold)):
        if markup.has_tags(text):
            raise SampleError(
                f"{where}: {name} holds think or answer tags, which are added here: remove them"
            )
    return markup.write(sample.cot, sample.gold)


def prompt_hash(maker: PromptMaker, samples: Iterable[Sample]) -> str:
    """Hex SHA-256 of the prompts' texts and numbers of images. Reads no pixels."""
    digest = hashlib.sha256()
    for sample in samples:
        prompt = maker(sample)
        digest.update(json.dumps([prompt.text, len(prompt.images)]).encode() + b"\n")
    return digest.hexdigest()
