"""Laws of a plugin: importing it is cheap and has no side effects; its factory is pure."""

from rftcore.datasets.slices import dataset_of
from rftcore.testing.digests import difference, shown
from rftcore.testing.errors import BrokenError
from rftcore.testing.law import law
from rftcore.testing.subject import Subject

FOUND = ("plugin-imports",)


@law(
    "plugin-imports",
    "plugin",
    "Another process can import the plugin.",
    why="Training on several GPUs and rewards with a deadline run in other processes.",
    cause="the import relies on what only this process has: a folder on sys.path, a variable",
    fix="install what the plugin imports; read files by paths relative to `__file__`",
)
def plugin_imports(subject: Subject) -> None:
    """With the same sys.path and another hash seed."""
    if error := subject.elsewhere.import_error:
        raise BrokenError(f"another process could not import it: {error}")


@law(
    "plugin-light",
    "plugin",
    "Importing the plugin loads no heavy package.",
    why="Every rft command imports all plugins: one slow import slows all of them.",
    cause="import torch, numpy or PIL at the top of the module that the entry point names",
    fix="move the import into the function that needs it",
    needs=FOUND,
)
def plugin_light(subject: Subject) -> None:
    """In another process, which imports only this plugin."""
    found = subject.elsewhere
    if found.loaded:
        raise BrokenError(f"importing it loaded {', '.join(found.loaded)}")


@law(
    "plugin-quiet",
    "plugin",
    "Importing the plugin prints nothing.",
    why="Output of `rft ... --json` is read by programs; a line from a plugin breaks it.",
    cause="a print left over from debugging, or a library that prints on import",
    fix="remove it, or log in the function that does the work",
    needs=FOUND,
)
def plugin_quiet(subject: Subject) -> None:
    """Standard output and standard error, of Python and of C."""
    if text := subject.elsewhere.printed.strip():
        raise BrokenError(f"importing it printed {shown(text)}")


@law(
    "plugin-no-side-effects",
    "plugin",
    "Importing the plugin changes no global state.",
    why="A plugin that seeds a generator or sets a variable changes runs that do not use it.",
    cause="random.seed, os.environ or os.chdir at the top of the module; a thread started there",
    fix="use your own random.Random(seed), and set variables where they are needed",
    needs=FOUND,
)
def plugin_no_side_effects(subject: Subject) -> None:
    """Environment, folder, global random numbers, signals, threads."""
    if changed := subject.elsewhere.changed:
        raise BrokenError(f"importing it changed {' and '.join(changed)}")


@law(
    "options-typed",
    "plugin",
    "Every option of the task has a type and a default.",
    why="A recipe's settings are checked against the type; without one, a typo goes unnoticed.",
    cause="an argument without annotation, or **options without rft.with_options_of",
    fix="annotate each argument of the factory and give it a default",
)
def options_typed(subject: Subject) -> None:
    """What `--set task_options.NAME=VALUE` may set."""
    offer = subject.offer
    for name, parameter in offer.options.items():
        if parameter.annotation is parameter.empty:
            raise BrokenError(
                f"option {name!r} has no type",
                cause="an argument of the factory without annotation",
                fix=f"write {name}: int, or whatever it is",
            )
        if parameter.default is parameter.empty:
            raise BrokenError(
                f"option {name!r} has no default",
                cause="an argument of the factory that every recipe has to give",
                fix=f"give {name} a default with which the task works",
            )
    if offer.takes_any_option:
        raise BrokenError(
            "the factory takes **options of any name: a misspelled one goes unnoticed",
            cause="**options without rft.with_options_of",
            fix="name the options, or put @rft.with_options_of(dataset_factory) above the factory",
        )


@law(
    "factory-pure",
    "plugin",
    "Making the task twice gives the same task.",
    why="Training, evaluation and workers each make the task: they must see the same samples.",
    cause="a random default, a counter in the module, samples shuffled without a seed",
    fix="derive everything from the options, the seed among them",
    needs=("samples-pure",),
)
def factory_pure(subject: Subject) -> None:
    """Names, rewards, splits, sizes and samples of both."""
    one, two = subject.task, subject.remade_task()
    terms = [{name: term.weight for name, term in task.rewards.items()} for task in (one, two)]
    if (one.name, terms[0]) != (two.name, terms[1]):
        raise BrokenError(f"first {one.name} with {terms[0]}, then {two.name} with {terms[1]}")
    again = dataset_of(two)
    for split, some in subject.compared_samples.items():
        if again.size(split) != subject.dataset.size(split):
            raise BrokenError(f"split {split!r} changed its size")
        for index, sample in some.items():
            if change := difference(sample, again.sample(split, index)):
                raise BrokenError(f"{split}[{index}] of the second task differs: {change}")
