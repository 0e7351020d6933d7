"""Cached feature tensors, trained taggers and comparable metrics from a corpus of music clips."""

__version__ = "0.1.0"
