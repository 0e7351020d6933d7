"""The network of a saved model without first drawing the weights that the saved ones then replace.

A recurrent network begins with orthogonal matrices, which take longer than all else of a start: 15 decompositions, on
which torch's threads wait for each other if the machine is busy.
"""

from __future__ import annotations

import gc

from torch import Tensor, nn

from earmark.errors import EarmarkError
from earmark.models.saved import SavedModel


def restored(saved: SavedModel) -> nn.Module:
    """Return what ``SavedModel.build`` returns: the network with its weights, ready to score.

    It is made of tensors without values, and gets those of the file. A network that cannot be made so is built.

    Raises ModelError as ``build`` does.
    """
    made = _without_values(saved)
    if made is None:
        return saved.build()
    types = {name: value.dtype for name, value in made.state_dict().items() if isinstance(value, Tensor)}
    weights = {name: value.to(types.get(name, value.dtype)) for name, value in saved.weights.items()}
    try:
        made.load_state_dict(weights, assign=True)
    except (EarmarkError, TypeError, ValueError, RuntimeError):
        return saved.build()  # which says what does not fit
    return saved.build() if _without_some(made) else made.eval()


def _without_values(saved: SavedModel) -> nn.Module | None:
    """Return the network on torch's device ``meta``, or None if it has values that its state dict would not bring."""
    try:
        found = saved.without_values()
    except Exception:  # whatever the code of a family does with a tensor that has no values
        return None
    of_state = found.state_dict(keep_vars=True).values()
    known = {id(tensor) for tensor in of_state if isinstance(tensor, Tensor)}
    held = [*found.parameters(), *found.buffers(), *(one for one in gc.get_objects() if type(one) is Tensor)]
    return None if any(one.is_meta and id(one) not in known for one in held) else found


def _without_some(network: nn.Module) -> bool:
    return any(one.is_meta for one in [*network.parameters(), *network.buffers()])
