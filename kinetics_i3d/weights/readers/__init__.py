"""Readers of other programs' weight files: each gives {name: array} under the file's own names."""
