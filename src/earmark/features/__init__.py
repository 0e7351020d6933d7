"""Waveform shards become feature shards, and feature shards become tensors and arrays."""
