"""Kinds of corpora, a module each."""
