"""Readers of other programs' weight files; each returns {name: array} with the file's own names."""
