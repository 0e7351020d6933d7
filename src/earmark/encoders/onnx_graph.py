"""The graph of an ONNX model, read by the package onnx: its inner tensors, and which of them are layers."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError
from earmark.sections import near

SHOWN = 12  # inner tensors that an error names: there may be thousands
# What makes a layer, and what belongs to the layer before it.
WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "GRU", "LSTM", "MatMul", "RNN"}
FOLLOWING = {
    "AveragePool", "BatchNormalization", "Clip", "Dropout", "Elu", "Gelu", "GroupNormalization", "HardSigmoid",
    "InstanceNormalization", "LayerNormalization", "LeakyRelu", "MaxPool", "PRelu", "Relu", "Selu", "Sigmoid",
    "Softplus", "Tanh",
}  # fmt: skip
POOLING = {"GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean"}


def readable() -> bool:
    """Tell whether the package onnx is installed."""
    return importlib.util.find_spec("onnx") is not None


def layers(content: bytes) -> tuple[list[str], list[str]]:
    """Return the inner tensors that are layers, in the order in which they are computed, and the outputs.

    A layer is what a convolution, a product with weights, a recurrent cell, a sum or a pooling over all frames makes,
    after the bias, activation, norm or pooling that follow it.
    """
    graph = _read(content).graph
    outputs = [output.name for output in graph.output]
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)

    def goes_on(name: str) -> bool:
        """Tell whether what follows belongs to the same layer."""
        if len(readers[name]) != 1:
            return False
        (after,) = readers[name]
        bias = after.op_type == "Add" and any(other in constants for other in after.input)
        return bias or after.op_type in FOLLOWING

    made = [node.output[0] for node in graph.node if node.op_type in WEIGHTED | FOLLOWING | POOLING | {"Add"}]
    return [name for name in made if name and name not in outputs and not goes_on(name)], outputs


def with_outputs(content: bytes, names: Collection[str], file: Path) -> bytes:
    """Return a model with inner tensors as further outputs. Raises EarmarkError if it has no such tensor."""
    import onnx

    model = _read(content, str(file))
    outputs = [output.name for output in model.graph.output]
    inner = [name for node in model.graph.node for name in node.output if name]
    for name in names:
        if name in outputs:
            continue
        if name not in inner:
            some = ", ".join(inner[:SHOWN])
            raise EarmarkError(
                f"layer must be one of the outputs of {file} ({', '.join(outputs)}) or one of its {len(inner)} inner "
                f"tensors ({some}, ...), got {name!r}{near(name, [*outputs, *inner])}"
            )
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return bytes(model.SerializeToString())


def require_whole(file: Path, content: bytes) -> None:
    """Raise EarmarkError if tensors of a model lie in other files, which its SHA-256 does not cover.

    Without the word by which it names such a file there is none.
    """
    if b"location" not in content:
        return
    if not readable():
        raise EarmarkError(f"{file} may keep tensors in other files: `pip install onnx`, which can tell")
    if outside := next(_outside(_read(content, str(file))), None):
        places = ", ".join(repr(entry.value) for entry in outside.external_data if entry.key == "location")
        raise EarmarkError(
            f"{file} must hold all of its tensors, but {outside.name!r} lies in another file ({places}), which its "
            "SHA-256 does not cover: `onnx.save(onnx.load(file), file)` writes all into one"
        )


def _outside(message: Any) -> Iterator[Any]:
    """Yield the tensors of other files: in the graph, in its attributes, in subgraphs and in functions."""
    if message.DESCRIPTOR.name == "TensorProto" and message.data_location == message.EXTERNAL:
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _outside(inner)


def require_readable(file: Path, layer: str, outputs: Sequence[str]) -> None:
    """Raise EarmarkError if the package onnx, without which there are no layers but the outputs, is missing."""
    if not readable():
        raise EarmarkError(
            f"layer must be one of {', '.join(outputs)}, got {layer!r}; for layers within {file}: `pip install onnx`"
        )


def _read(content: bytes, name: str = "the model") -> Any:
    import onnx

    try:
        return onnx.load_model_from_string(content)
    except Exception as error:  # its classes are protobuf's
        raise EarmarkError(f"{name} cannot be read by the package onnx: {' '.join(str(error).split())[:300]}") from None
