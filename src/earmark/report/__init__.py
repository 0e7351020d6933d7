"""The tables that people read."""
