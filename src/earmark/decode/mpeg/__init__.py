"""MPEG audio, layers I to III: every frame that a file holds, found by its own header, and decoded in its place."""
