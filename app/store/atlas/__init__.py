"""Reads and writes of runs: heads, features, rankings, examples, progress."""
