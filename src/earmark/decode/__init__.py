"""Audio files become mono waveforms, and a manifest becomes waveform shards."""
