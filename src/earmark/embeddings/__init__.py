"""Embeddings of any audio files by any layer of a trained network, and what in the corpus is near to what."""
