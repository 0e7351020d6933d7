"""Corpora: each module yields the same manifest and tag table."""
