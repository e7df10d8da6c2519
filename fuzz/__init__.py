"""Fuzzers of everything that reads a file or an answer of others: `python -m fuzz --help`."""
