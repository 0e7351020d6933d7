"""Networks trained on cached features."""
