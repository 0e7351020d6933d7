"""`earmark inspect`: what an audio file or a clip of the corpus holds, in words and as a picture."""
