"""Cached feature tensors, trained taggers and comparable metrics from a corpus of music clips.

Scattering, Mel, CQT: transforms as torch modules. load: a trained model, for ``predict`` and ``embed``. load_features:
the features and labels of a split as arrays. evaluate: AUCs with an interval. Each is imported when it is first used,
so that ``import earmark`` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.evaluation.evaluate import evaluate as evaluate
    from earmark.features.arrays import load_features as load_features
    from earmark.predict import load as load
    from earmark.transforms import CQT as CQT
    from earmark.transforms import Mel as Mel
    from earmark.transforms import Scattering as Scattering

# A stage takes the code that lies beside it, whatever is installed: DVC runs an experiment of its queue in a copy of
# the project, and what has been edited since would otherwise run there, under the digest of the code of then.
if "DVC_STAGE" in os.environ and os.path.isfile("src/earmark/__init__.py"):  # noqa: PTH113 - pathlib costs as much
    __path__ = [os.path.abspath("src/earmark")]  # noqa: PTH100

__version__ = "0.1.0"
__all__ = ["CQT", "Mel", "Scattering", "evaluate", "load", "load_features"]

_MODULES = {
    "CQT": "earmark.transforms",
    "Mel": "earmark.transforms",
    "Scattering": "earmark.transforms",
    "evaluate": "earmark.evaluation.evaluate",
    "load": "earmark.predict",
    "load_features": "earmark.features.arrays",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
