"""A page in the browser for listening to the test split: what a tagger hears in its clips, and what it gets wrong."""
