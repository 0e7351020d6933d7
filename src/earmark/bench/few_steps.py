"""Run a stage's script in which a training ends after a few steps of each epoch: ``few_steps N SCRIPT ARGUMENTS``.

What it writes is of no use but to be measured: a rehearsal runs all stages at full size, and an epoch may take hours.
"""

from __future__ import annotations

import runpy
import sys
from functools import partial

from earmark import waiting  # noqa: F401 - it chooses before torch is loaded


def main() -> None:
    """Limit the steps of Lightning's trainer, and run the script with its own arguments."""
    import pytorch_lightning as pl

    steps, script = int(sys.argv[1]), sys.argv[2]
    pl.Trainer = partial(pl.Trainer, limit_train_batches=steps)  # type: ignore[assignment, misc]
    sys.argv = sys.argv[2:]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
