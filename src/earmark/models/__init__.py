"""Networks from features to logits, one family per file: a new file with a ``build`` is a new family."""
