"""Published weights, converted to models of this project: where they come from, what is in them, how they are read."""
