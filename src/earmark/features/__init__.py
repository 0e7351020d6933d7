"""Waveform shards become feature shards, and these become tensors."""
