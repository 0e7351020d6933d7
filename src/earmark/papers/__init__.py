"""All published systems trained on one corpus, and the table beside their papers."""
