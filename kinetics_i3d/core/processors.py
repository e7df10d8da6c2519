"""`usable_processors`: how many threads of work this process can do at once."""

import os


def usable_processors():
    """Processors that this process may run on, 1 or more.

    Example:

    >>> usable_processors() >= 1
    True
    """
    # macOS cannot tell which ones a process is bound to.
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1
