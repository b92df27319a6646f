"""`rft`, stopped as by SIGTERM after a step: STOP_AT=grpo:3. Rank 1 alone gets the request."""

import os
from typing import Any

from rftcore import cli, distributed
from rftcore.training.guards import Stopping

if __name__ == "__main__":
    phase, step = os.environ["STOP_AT"].split(":")
    plain = Stopping.on_step_end

    def on_step_end(self: Stopping, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if (args.output_dir.endswith(phase), state.global_step) == (True, int(step)):
            self._request.received = distributed.rank() == 1
        plain(self, args, state, control, **kwargs)

    setattr(Stopping, "on_step_end", on_step_end)  # noqa: B010 - a method, to mypy
    cli.main()
