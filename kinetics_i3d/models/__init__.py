"""The systems and their parts: Keras alone, on any of its backends."""

import importlib

# Whoever imports any of them can read `.keras` files of all.
importlib.import_module(f"{__name__}.registration")
