"""Predicted tags written beside audio files, into them, or into playlists; with their provenance, and to be undone."""
