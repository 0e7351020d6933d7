"""Models that leave the repository: bundles for earmark elsewhere, and graphs for what runs without earmark."""
