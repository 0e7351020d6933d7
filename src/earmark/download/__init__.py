"""Fetching and unpacking MagnaTagATune."""
