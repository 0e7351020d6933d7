"""The published systems as data."""
