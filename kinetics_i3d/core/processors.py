"""`usable_processors`: how many threads can run at once."""

import os


def usable_processors():
    """The number of processors that this process may use, 1 or more."""
    # macOS has no CPU affinity.
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1
