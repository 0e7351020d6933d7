"""Benchmarks that run ours and the peer in one process, alternately, on the same data and threads."""
