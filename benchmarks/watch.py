"""Latency, dropped frames and memory of `kinetics-i3d watch` on a stream in real time.

A video is served over HTTP on this machine at its own rate, again and again, and the command
watches it in another process. Memory is flat if the last third of the time needs no more than the
first.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

from live_server import serve_in_real_time
from report import publish

WAVE = pathlib.Path(__file__).parents[1] / "examples" / "wave.mp4"
MEBIBYTE = 2**20


def memory(process):
    """The resident memory of a process, in MiB, where the system shows it."""
    pages = int(pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


def watch(address, minutes, words):
    """Runs the command for some minutes after its first line.

    Returns:
        ([dictionary of a line], [MiB at each line], the summary, the exit code).
    """
    command = [sys.executable, "-m", "kinetics_i3d", "watch", address, "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines, sizes, timer = [], [], None
    for line in process.stdout:
        if timer is None:
            timer = threading.Timer(60 * minutes, process.terminate)
            timer.start()
        lines.append(json.loads(line))
        if process.poll() is None:
            sizes.append(memory(process))
    return lines, sizes, process.stderr.read().strip(), process.wait()


def main():
    """Prints and records the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", default=WAVE, help="an H.264 video")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--name", default="watch", help="of the files with the result")
    options, words = parser.parse_known_args()

    begin = time.monotonic()
    with serve_in_real_time(options.video, seconds=24 * 3600) as address:
        lines, sizes, summary, code = watch(address, options.minutes, words)
    minutes = (time.monotonic() - begin) / 60
    if code or len(lines) < 9:
        sys.exit(f"the command ended with exit code {code} after {len(lines)} lines: {summary}")
    latencies = sorted(line["latency"] for line in lines)
    third = len(sizes) // 3
    first, last = max(sizes[:third]), max(sizes[-third:])
    row = {
        "options": " ".join(words) or "none",
        "lines": len(lines),
        "minutes of video": f"{lines[-1]['end'] / 60:.2f}",
        "latency median (s)": f"{statistics.median(latencies):.3f}",
        "latency 95 % (s)": f"{latencies[int(0.95 * (len(latencies) - 1))]:.3f}",
        "latency most (s)": f"{latencies[-1]:.3f}",
        "frames dropped": lines[-1]["dropped"],
        "RSS first third (MiB)": f"{first:.0f}",
        "RSS last third (MiB)": f"{last:.0f}",
        "ratio": f"{last / first:.3f}",
    }
    publish(
        options.name,
        "Watching a stream in real time",
        " ".join(["python benchmarks/watch.py", *sys.argv[1:]]),
        [row],
        notes=(
            "Latency is the time from the arrival of the window's last picture, when it has been "
            "decoded, to the line. RSS is the most in that third of the time. The run took "
            f"{minutes:.1f} minutes, with the start of the command. Its last line:\n\n"
            f"    {summary.splitlines()[-1]}"
        ),
    )


if __name__ == "__main__":
    main()
