"""What `earmark bench` can measure; its options and the benchmarks share the names."""

from __future__ import annotations

TRANSFORMS = ("scattering", "cqt", "mel")
KINDS = (*TRANSFORMS, "decode", "extract", "compare", "train", "start")
SYSTEMS = ("crnn", "musicnn", "mel-2d-cnn")
