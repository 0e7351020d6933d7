"""All published systems, trained on one corpus and compared with the figures in their papers."""
