"""What runs an encoder: a module for each kind of file, entered by ``read``."""
