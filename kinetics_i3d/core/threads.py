"""Threads: `usable_processors`, and `read_ahead`, which runs a generator in a background thread."""

import concurrent.futures
import contextlib
import os
import queue
import threading


def usable_processors():
    """The number of processors that this process may use, 1 or more."""
    # macOS has no CPU affinity.
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1


def read_ahead(items):
    """Yields the items of a generator that runs in a thread, up to two items ahead."""
    ready: queue.Queue = queue.Queue(1)
    stopped, end = threading.Event(), object()

    def put(item):
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def work():
        try:
            with contextlib.closing(items):
                for item in items:
                    put(item)
                    if stopped.is_set():
                        return
        finally:
            put(end)

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="read_ahead") as pool:
        done = pool.submit(work)
        try:
            while (item := ready.get()) is not end:
                yield item
            done.result()
        finally:
            stopped.set()
