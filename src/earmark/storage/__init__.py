"""Shards on disk, and the marks that say what made them."""
