"""Which layer of an encoder says most about the tags: all of them cached in one pass, and a probe on each."""
