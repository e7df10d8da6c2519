"""`kinetics-i3d demo`: serve a web page that names the action in a video.

Upload, record or choose a video: the page shows the most probable actions, how they change over
time, the frames that the network saw, and where it looked. A second tab compares two networks, a
third shows the doctor's report. It needs the extra demo: pip install "kinetics-i3d[demo]".
Missing weights are downloaded at the start; nothing else is fetched from other servers or reported
to them. Ctrl-C ends it.

By default only programs on this machine can reach the page. With --host 0.0.0.0 it listens on every
network interface: anyone who can reach this machine can then use it, without a password and without
encryption. Files are kept in a temporary folder for an hour at most, and removed at the end.
"""

import argparse
import contextlib
import sys

from kinetics_i3d.cli.arguments import count
from kinetics_i3d.cli.console import load_keras
from kinetics_i3d.core.interrupts import forget_interrupt
from kinetics_i3d.core.progress import hide_progress, waiting

EXAMPLES = (
    "kinetics-i3d demo",
    "kinetics-i3d demo --port 8000 --weights rgb_figures RUN/weights.h5",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; 0.0.0.0 is every network interface",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=7860,
        metavar="N",
        help="port to listen on; 0 is any free port",
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="NAME|PATH",
        help="weights that the page offers, the first one selected: names of weights or pairs "
        "that `kinetics-i3d weights` lists, or files (default: rgb_kinetics400 and the "
        "weights that ship with the package)",
    )
    parser.add_argument(
        "--max-size", type=_positive, default=100.0, metavar="MB", help="largest file, in megabytes"
    )
    parser.add_argument(
        "--max-seconds", type=_positive, default=60.0, metavar="SECONDS", help="longest video"
    )
    parser.add_argument(
        "--max-queue",
        type=count,
        default=20,
        metavar="N",
        help="requests that may wait for the network, which answers one at a time",
    )


def run(options):
    """Serves the page until it is stopped; returns the exit code."""
    from kinetics_i3d.app.limits import MEGABYTE, Limits
    from kinetics_i3d.app.networks import Networks
    from kinetics_i3d.app.server import bind, load_gradio, serve, upload_folder
    from kinetics_i3d.video.limits import bounded_decoder

    # Checks that need no TensorFlow come first: it takes seconds to load.
    limits = Limits(size=round(options.max_size * MEGABYTE), seconds=options.max_seconds)
    with bind(options.host, options.port) as listener, upload_folder() as (uploads, examples):
        with waiting("starting the page"):
            load_gradio()
            networks = Networks(options.weights)
            load_keras()
            from kinetics_i3d.app.page import make_app

            networks.load(networks.names[0])  # reports bad weights; makes the first answer quick
            app = make_app(
                networks,
                limits=limits,
                queue=options.max_queue,
                uploads=uploads,
                examples=examples,
            )
        host, port = listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        # Ctrl-C is the regular way to end it. The page shows the progress. The files are untrusted,
        # so the decoder has limits.
        with contextlib.suppress(KeyboardInterrupt), hide_progress(), bounded_decoder(True):
            print(f"http://{host}:{port} (Ctrl-C ends it)", flush=True)
            serve(app, listener)
        forget_interrupt()
        print("stopped", file=sys.stderr, flush=True)
    return 0


def _port(text):
    """Reads the number of a port."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {text}")
    return number


def _positive(text):
    """Reads a number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


_port.__name__, _positive.__name__ = "port", "number"
