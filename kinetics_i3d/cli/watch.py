"""`kinetics-i3d watch`: name the action in live video: a camera, a stream or a growing file.

A line with the action in the latest frames is printed for each second of video. It begins with the
end of the window, in seconds from the first frame, and ends with the latency: the seconds from
decoding the window's last frame to printing the line. If the network is slower, lines are farther
apart; if it needs longer than a whole window, frames are dropped and counted. Ctrl-C, SIGTERM and
the end of the stream end it with a summary and exit code 0, a lost connection with exit code 1.
"""

import argparse
import collections
import contextlib
import json
import math
import statistics

from kinetics_i3d.cli.arguments import (
    add_labels_argument,
    add_network_arguments,
    add_precision_arguments,
    check_precision,
    chosen_weights,
    count,
    length,
    read_labels_option,
    seconds,
    with_labels,
    with_precision,
)
from kinetics_i3d.cli.console import complain, inform, load_keras
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.interrupts import forget_interrupt

EXAMPLES = (
    "kinetics-i3d watch rtsp://camera.local/live --reconnect --json",
    "kinetics-i3d watch video.mp4 --realtime --weights rgb_figures",
)
_LINES = 10_000  # latest lines whose latency is summarized


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="the number of a camera or its device, such as /dev/video0; the address of a stream, "
        "such as http://..., rtsp://... or rtmp://..., which opens the network; or a video file, "
        "which may still be growing",
    )
    add_network_arguments(parser, flow="from the frames")
    parser.add_argument(
        "--top", type=count, default=1, metavar="N", help="number of labels per line"
    )
    parser.add_argument(
        "--window",
        type=length,
        metavar="FRAMES|SECONDSs",
        help="length of a window: frames, or seconds such as 2.56s (default: 64, or as many frames "
        "as the network needs)",
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        default=1.0,
        metavar="SECONDS",
        help="seconds of video from one line to the next",
    )
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="play a file at its own frame rate, like a camera; otherwise it is read as fast as "
        "the network allows, and no frame is dropped",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="time without data after which a growing file counts as complete, or a connection "
        "as lost",
    )
    parser.add_argument(
        "--reconnect",
        action="store_true",
        help="reopen a camera or an address whenever it ends, until the command is stopped",
    )
    add_labels_argument(parser)
    add_precision_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="print JSON Lines: an object instead of each line"
    )


def run(options):
    """Prints a line for each window; returns the exit code."""
    from kinetics_i3d.video.live import check_source, source_name
    from kinetics_i3d.weights.read import fetch_weights

    # Checks that need no TensorFlow come first: it takes seconds to load.
    check_source(options.source)
    check_precision(options)
    labels = read_labels_option(options)
    weights = chosen_weights(options)
    fetch_weights(weights, pairs=True)
    load_keras()
    from kinetics_i3d.inference.watch import watch
    from kinetics_i3d.models.load import load_model

    model = with_labels(load_model(weights, streams=options.streams), labels)
    windows = watch(
        options.source,
        with_precision(model, options),
        top=options.top,
        window=options.window,
        every=options.every,
        realtime=options.realtime,
        timeout=options.timeout,
        reconnect=options.reconnect,
    )
    print_line = _print_json if options.json else _print_text
    code, lines = 0, 0
    latest: collections.deque = collections.deque(maxlen=_LINES)
    with contextlib.closing(windows):
        try:
            for prediction in windows:
                latest.append((prediction.end, prediction.latency, prediction.dropped))
                lines += 1
                print_line(prediction)
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C and SIGTERM
            forget_interrupt()  # the regular way to end it
        except VideoError as error:
            if not latest:
                raise
            complain(error)
            code = 1
    name = source_name(options.source)
    inform(_summary(name, lines, latest))
    return code


def _print_json(prediction):
    print(json.dumps(prediction.to_dict(), ensure_ascii=False), flush=True)


def _print_text(prediction):
    labels = ", ".join(
        f"{label} {100 * probability:.1f} %" for label, probability in prediction.predictions
    )
    dropped = f", {prediction.dropped} frames dropped" if prediction.dropped else ""
    print(
        f"{prediction.end:8.2f} s  {labels}  (latency {prediction.latency:.2f} s{dropped})",
        flush=True,
    )


def _summary(name, lines, latest):
    """The summary in one line; `latest` are (end, latency, dropped) of the latest lines."""
    if not latest:
        return f"{name}: ended before the first window was full"
    end, _, dropped = latest[-1]
    latencies = sorted(latency for _, latency, _ in latest)
    late = math.ceil(100 * latencies[math.ceil(0.95 * len(latencies)) - 1]) / 100
    windows = "1 window" if lines == 1 else f"{lines} windows"
    return (
        f"{name}: {windows} in {end:.1f} s of video, latency median "
        f"{statistics.median(latencies):.2f} s, 95 % below {late:.2f} s, {dropped} frames dropped"
    )


def _seconds(text):
    """Reads a number of seconds above 0."""
    number = seconds(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


_seconds.__name__ = "number of seconds"
