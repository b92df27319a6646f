"""Train, read and measure from Python, cell by cell: `python examples/notebook_red_cubes.py`.

Every `# %%` begins a cell for Jupyter, VS Code and others. Smoke settings: two steps a phase with
a random toy model, so it takes a minute, and the answers are wrong. A real run leaves out
`smoke=True`.
"""

# %% A task: by the name of a plugin, by its file as here, or as an rft.Task
from pathlib import Path

import rftcore as rft

CLONE = Path(rft.__file__).parents[1]
TASK = f"{CLONE}/examples/rft-red-cubes/rft_red_cubes.py:count_red_cubes"

# %% Train: SFT, then GRPO, evaluated before, between and after
run = rft.train(TASK, smoke=True, set={"grpo.group_size": 4, "evaluation.samples.val": 6})
print(run.table())

# %% The same scores as plain data
for score in run.scores:
    low, high = score["low"], score["high"]
    print(f"{score['stage']:5} {score['split']:4} {score['accuracy']:.2f} [{low:.2f}, {high:.2f}]")

# %% Wrong answers after GRPO
for row in run.answers("grpo", "val"):
    if row.correct is False:
        written = row.completion[:40]
        print(f"{row.id}: gold {row.gold}, answer {row.answer}, from {written!r}")

# %% One rollout: what the policy wrote, and what it was rewarded for
rollout = run.rollouts()[0]
print(f"step {rollout.step}, {rollout.id}: total {rollout.total}")
print(repr(rollout.completion[:80]))

# %% Measure the policy on other samples
again = rft.evaluate(run, splits=["test"], set={"evaluation.samples.test": 4})
print(again.table())
