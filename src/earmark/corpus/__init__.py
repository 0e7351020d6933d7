"""Corpora of any kind, read into one form: a manifest and a tag table."""
