"""`rft data show`: show samples by their ids."""

from typing import Any

import click

from rftcore import jsontext
from rftcore.cli.making import recipe_and_task
from rftcore.cli.output import echo, json_option
from rftcore.columns import printable


@click.command(short_help="Show a sample by its id.")
@click.option("--task", required=True, help="The task whose samples to read; see `rft tasks list`.")
@click.option("--id", "ids", required=True, multiple=True, metavar="ID", help="May be repeated.")
@click.option("--split", help="Search this split only.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@json_option("Print a JSON object per sample.")
def show(
    task: str, ids: tuple[str, ...], split: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Show samples by their ids: where they come from, question, gold, reasoning, images.

    \b
    Example:
      rft data show --task counting --id counting-val-17
    """
    from rftcore.datasets.finding import find
    from rftcore.datasets.slices import parser_of

    _, made = recipe_and_task(("--task", {"task": task}), settings=settings)
    for name, sample in find(made, ids, split):
        parsed = parser_of(made).gold(sample.gold)
        facts: dict[str, Any] = {
            "id": sample.id,
            "split": name,
            "origin": sample.origin,
            "question": sample.question,
            "gold": sample.gold,
            "parsed": repr(parsed.value) if parsed.ok else f"parse error: {parsed.error}",
            "cot": sample.cot,
            "meta": {**sample.meta},
            "images": [{"key": image.key, "size": image.size()} for image in sample.images],
        }
        echo(jsontext.dumps(facts) if as_json else _sample_text(facts))


def _sample_text(facts: dict[str, Any]) -> str:
    """A sample as lines; those of a text after its first are indented."""
    images = [("image", f"{i['key']} ({i['size'][0]} x {i['size'][1]})") for i in facts["images"]]
    rows = [(name, str(facts[name])) for name in facts if name != "images" and facts[name]]
    width = max(len(name) for name, _ in rows) + 2
    lines = (f"{name:<{width}}{printable(text)}" for name, text in (*rows, *images))
    return "".join(line.replace("\n", "\n" + " " * width) + "\n" for line in lines)
