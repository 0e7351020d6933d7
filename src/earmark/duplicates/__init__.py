"""Recordings that a corpus holds twice: spectral fingerprints of its files, and pairs of files that sound the same."""
