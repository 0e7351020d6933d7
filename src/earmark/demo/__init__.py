"""The demo corpus: real compositions, re-orchestrated and rendered, with tags that are true by construction."""
