"""The model card of a policy: README.md beside the weights, as the hub shows it.

It states what the run recorded. What was not recorded, such as the license of the base model, is
named as missing and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rftcore import jsontext
from rftcore.columns import printable
from rftcore.config import ANSWERS, yaml12
from rftcore.disclosure import shown_command, without_folders, without_secrets
from rftcore.evaluation.scores import Gain, Share, SplitScore
from rftcore.evaluation.tables import PHASES, row_name
from rftcore.pipeline.job import Job
from rftcore.pipeline.markdown import escaped, fenced, table
from rftcore.plugins.describe import license_of
from rftcore.splits import is_training

HERE = 'source = "."'  # the line of the example that `rft push` changes to the name on the hub
METHOD = {"sft": "SFT on chains of thought", "grpo": "GRPO on verifiable rewards"}
VERSIONS = ("rftcore", "torch", "transformers", "trl")
LINKS = {
    "rft": "the method of Reason-RFT ([arXiv 2503.20752](https://arxiv.org/abs/2503.20752))",
    "trl": "[TRL](https://huggingface.co/docs/trl)",
}


@dataclass(frozen=True)
class Example:
    """A prompt of the task: its text, and how many images it shows."""

    text: str
    images: int


@dataclass(frozen=True)
class CardFacts:
    """What a card states. scores, gains: up to this phase. sizes: samples read, by split.

    plugin: the distribution that the task is from.
    """

    phase: str
    manifest: Mapping[str, Any]
    recipe: Mapping[str, Any]
    summary: str
    plugin: str
    sizes: Mapping[str, int]
    scores: Mapping[str, Sequence[SplitScore]]
    gains: Sequence[Gain]
    notes: Sequence[str]
    example: Example


def write_cards(job: Job, gains: Sequence[Gain], notes: Sequence[str]) -> None:
    """Write the card of each policy that the run has trained."""
    for phase in METHOD:
        if job.run.done(phase):
            job.run.write_card(phase, card(facts_of(job, phase, gains, notes)))


def facts_of(job: Job, phase: str, gains: Sequence[Gain], notes: Sequence[str]) -> CardFacts:
    """The facts of a policy; those of later phases are left out."""
    plan, order = job.plan, ["start", *METHOD]
    until = order[: order.index(phase) + 1]
    prompt = plan.taught.prompt(plan.parts[0][0])
    return CardFacts(
        phase,
        job.run.manifest(),
        plan.recipe.model_dump(mode="json"),
        plan.task.summary,
        plan.catalogue.find("task", plan.recipe.task).plugin.distribution,
        {part.split: len(part) for part in plan.parts},
        {stage: scores for stage, scores in job.scores.items() if stage in until},
        [gain for gain in gains if gain.stage in until],
        [note for note in notes if phase == "grpo" or not note.startswith("grpo:")],
        Example(prompt.text, len(prompt.images)),
    )


def card(facts: CardFacts) -> str:
    """The card's text, with the hub's front matter."""
    sections = [
        f"---\n{yaml.safe_dump(front_matter(facts), sort_keys=False).rstrip()}\n---",
        f"# {_task(facts)}: {_model(facts)} after {PHASES[facts.phase]}",
        *_introduction(facts),
        "## Results",
        *_results(facts),
        "## Use",
        _use(facts),
        "## Data",
        *_data(facts),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(facts)),
        "## Training",
        *_training(facts),
        "## License",
        "\n".join(f"- {line}" for line in _licenses(facts)),
    ]
    return "\n\n".join(sections) + "\n"


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """What the hub reads: no license, since that of the base model is not known here."""
    base = facts.recipe["model"]
    on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", base)  # the path of a folder is absolute
    return {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text" if facts.example.images else "text-generation",
        **({"base_model": base} if on_hub else {}),
        "tags": ["rft", "trl", facts.phase],
    }


def _task(facts: CardFacts) -> str:
    return escaped(without_folders(facts.recipe["task"]))


def _model(facts: CardFacts) -> str:
    return escaped(without_folders(facts.recipe["model"]))


def _introduction(facts: CardFacts) -> Iterator[str]:
    if facts.manifest.get("smoke"):
        yield "**A smoke run: the model is a random toy, and its accuracy means nothing.**"
    until = [*METHOD][: 1 + [*METHOD].index(facts.phase)]
    steps = [METHOD[phase] for phase in until if facts.recipe[phase]["enabled"]]
    if facts.recipe.get("paradigm") == ANSWERS:
        steps = ["SFT on bare answers"]
    yield (
        f"{_model(facts)}, trained by {', then '.join(steps)} on the task "
        f"{_task(facts)}"
        + (f" ({escaped(facts.summary).rstrip('.')})" if facts.summary else "")
        + f". Trained with rft {escaped(_version(facts, 'rftcore'))}: {LINKS['rft']}, with "
        f"{LINKS['trl']}."
    )


def _results(facts: CardFacts) -> Iterator[str]:
    splits = list(dict.fromkeys(s.split for scores in facts.scores.values() for s in scores))
    if not splits:
        yield "The policy was not evaluated."
        return
    rows = [
        [row_name(stage, scores), *_cells(splits, {s.split: _share(s) for s in scores})]
        for stage, scores in facts.scores.items()
    ]
    blind = [
        [
            f"{row_name(stage, scores)}, with images of other samples",
            *_cells(splits, {s.split: _share(s.blind) for s in scores if s.blind}),
        ]
        for stage, scores in facts.scores.items()
        if any(s.blind for s in scores)
    ]
    rows += blind
    for since, stage in dict.fromkeys((gain.since, gain.stage) for gain in facts.gains):
        changes = {g.split: _change(g) for g in facts.gains if g.stage == stage}
        rows.append([f"{PHASES[since]} to {PHASES[stage]}", *_cells(splits, changes)])
    yield "Accuracy in percent with its 95 % interval, greedy decoding; changes are in points."
    yield table(["", *splits], rows)


def _cells(splits: Sequence[str], found: Mapping[str, str]) -> list[str]:
    return [found.get(split, "-") for split in splits]


def _share(score: SplitScore | Share) -> str:
    if score.accuracy is None or score.low is None or score.high is None:
        return f"not scored (n={score.n})"
    low, high = 100 * score.low, 100 * score.high
    return f"{100 * score.accuracy:.1f} ({low:.1f} to {high:.1f}, n={score.n})"


def _change(gain: Gain) -> str:
    if gain.change is None or gain.low is None or gain.high is None:
        return "-"
    return f"{100 * gain.change:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def _use(facts: CardFacts) -> str:
    images = [f"image-{number + 1}.png" for number in range(facts.example.images)]
    content = [f'{{"type": "image", "image": Image.open("{name}")}},' for name in images]
    loader = "AutoModelForImageTextToText"
    lines = [
        *(["from PIL import Image"] if images else []),
        f"from transformers import {loader}, AutoProcessor",
        "",
        f"{HERE}  # the folder of this card, or its name on the hub",
        "processor = AutoProcessor.from_pretrained(source)",
        f"model = {loader}.from_pretrained(source)",
        "",
        "# one question of the training data, as the task's prompt writes it",
        f"text = {printable(jsontext.dumps(facts.example.text))}",
        "content = [",
        *(f"    {line}" for line in content),
        '    {"type": "text", "text": text},',
        "]",
        "inputs = processor.apply_chat_template(",
        '    [{"role": "user", "content": content}],',
        "    add_generation_prompt=True,",
        "    tokenize=True,",
        "    return_dict=True,",
        '    return_tensors="pt",',
        ").to(model.device)",
        f"limit = {facts.recipe['evaluation']['max_new_tokens']}",
        "output = model.generate(**inputs, do_sample=False, max_new_tokens=limit)",
        'answer = output[0, inputs["input_ids"].shape[1] :]',
        "print(processor.decode(answer, skip_special_tokens=True))",
    ]
    return fenced("\n".join(lines), "python")


def _data(facts: CardFacts) -> Iterator[str]:
    prints = facts.manifest.get("data", {})
    rows = [
        [split, "training" if is_training(split) else "evaluation", size, prints.get(split, "")]
        for split, size in facts.sizes.items()
    ]
    yield "Samples that the run read, and the SHA-256 of their texts and pixels, in order."
    yield table(["split", "for", "samples", "fingerprint"], rows)
    yield f"SHA-256 of all prompts: {escaped(facts.manifest.get('prompt_hash') or 'not recorded')}"


def _limits(facts: CardFacts) -> Iterator[str]:
    yield (
        "Only the splits above were measured, with one seed "
        f"({escaped(facts.recipe['seed'])}) and the prompt of the task. Other questions, images "
        "and languages, and what the model could do before, were not tested."
    )
    yield "Answers were checked by a program; whether the reasoning is right was not."
    check = facts.manifest.get("vision_check")
    if check is None:
        yield "That the answers depend on the images was not checked."
    else:
        yield (
            f"With other images, log-probabilities of the base model's answers changed by "
            f"{escaped(format(check['mean_shift_nats'], '.3g'))} nats on average; the trained "
            "policy was not checked in that way."
        )
    yield from (f"Finding of the run: {escaped(without_paths(note))}" for note in facts.notes)


def without_paths(text: str) -> str:
    """A text with absolute paths shortened to their last part."""
    return re.sub(r"(?<![\w./:])(?:/[^\s/:;,()]+){2,}", lambda found: Path(found[0]).name, text)


def _training(facts: CardFacts) -> Iterator[str]:
    command = shown_command(facts.manifest.get("command") or [])
    yield "Command, with folders shortened:"
    yield fenced(" ".join(" ".join(word.split()) for word in command), "text")
    packages = facts.manifest.get("packages", {})
    rows = [(name, packages[name]) for name in VERSIONS if name in packages]
    rows += sorted(facts.manifest.get("plugins", {}).items())
    yield table(["package", "version"], dict(rows).items())
    yield "Every setting, with folders shortened:"
    recipe = without_folders(without_secrets(dict(facts.recipe)))
    yield fenced(yaml12.dump(recipe), "yaml")


def _licenses(facts: CardFacts) -> Iterator[str]:
    yield f"rft: {escaped(license_of('rftcore'))}."
    plugin = escaped(without_folders(facts.plugin))
    yield f"The task's code, {plugin}: {escaped(license_of(facts.plugin))}."
    yield (
        f"The base model {_model(facts)} and the data: not recorded by rft. Look them up before "
        "you publish or use the model; these weights are derived from both."
    )


def _version(facts: CardFacts, package: str) -> str:
    return str(facts.manifest.get("packages", {}).get(package, "of an unknown version"))
