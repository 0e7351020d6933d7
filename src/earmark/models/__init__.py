"""Music models: plain modules from features to logits."""
