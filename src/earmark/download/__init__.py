"""Fetch and unpack MagnaTagATune."""
