"""The demo corpus: real compositions, re-orchestrated and rendered; tags are true by construction."""
