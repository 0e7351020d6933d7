"""`earmark doctor`: what this machine offers, whether the pipeline can run on it, and what to do if not."""
