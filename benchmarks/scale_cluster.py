"""Features of many short videos on a cluster of two nodes, a worker and a node killed on the way.

Two `ray start` processes on this machine are the nodes. When a quarter of the videos is done, the
process of a network is killed by SIGKILL; when half is done, the second node with all its
processes. The rows must be complete, each there once, and equal to those of a single process.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import collections
import importlib.metadata
import json
import math
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow.dataset
import pyarrow.parquet
from report import publish

import kinetics_i3d as ki3d

SETTINGS = ("--weights", "rgb_figures", "--window", "16", "--stride", "16")
COMMAND = (sys.executable, "-m", "kinetics_i3d")


def make_videos(folder, count):
    """Writes `count` videos of figures and one file that is no video."""
    per_action = math.ceil(count / 12)
    ki3d.write_figures(
        folder, train_per_action=per_action, test_per_action=0, frames=32, size=(48, 64)
    )
    videos = sorted(folder.rglob("*.mp4"))
    for video in videos[count:]:
        video.unlink()
    (folder / "broken.mp4").write_text("no video at all\n" * 100)
    return sorted(path.relative_to(folder).as_posix() for path in videos[:count])


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def descendants(pid):
    """The pids of a process and of all that it has started, by Linux' /proc."""
    children = collections.defaultdict(list)
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(folder.name))
    pids = [pid]
    for parent in pids:
        pids += children[parent]
    return pids


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Nodes:
    """Two nodes of a Ray cluster on this machine, for a `with` block."""

    def __init__(self, cpus, folder):
        self.cpus, self.folder = cpus, folder
        self.address = f"127.0.0.1:{free_port()}"
        self.nodes = []

    def __enter__(self):
        port = self.address.rpartition(":")[2]
        self._start("--head", "--port", port, "--include-dashboard", "false")
        self._wait(1)
        # Ray finds the node of a command by its address: another one, or the command would be on
        # any of the two, and die with the second.
        self._start("--address", self.address, "--node-ip-address", "127.0.0.2")
        self._wait(2)
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            kill(descendants(node.pid))
            node.wait()

    def _start(self, *arguments):
        ray = pathlib.Path(sys.executable).with_name("ray")
        command = [ray, "start", "--block", "--num-cpus", str(self.cpus), *arguments]
        log = (self.folder / f"node{len(self.nodes)}.log").open("w")
        variables = {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # else programs beside it slow Ray alone
        }
        self.nodes.append(
            subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **variables})
        )

    def _wait(self, count):
        code = (
            "import sys, ray; from ray._private import services, worker;"
            "head = ray.util.get_node_ip_address();"  # before it knows of the second node
            "ray.init(address=sys.argv[1], log_to_driver=False);"
            "print(sum(node['Alive'] for node in ray.nodes()));"
            "folder = worker._global_node.get_session_dir_path();"
            "services.write_node_ip_address(folder, head)"
        )
        for _ in range(20):
            done = subprocess.run(
                [sys.executable, "-c", code, self.address], capture_output=True, text=True
            )
            if done.stdout.strip() == str(count):
                return
            time.sleep(3)
        sys.exit(f"the cluster did not start: {done.stderr}")

    def kill_network(self):
        """Kills one process that holds a network; returns whether there was one."""
        for node in self.nodes:
            workers = [pid for pid in descendants(node.pid) if "_Network" in name_of(pid)]
            if workers:
                kill(workers[:1])
                return True
        return False

    def kill_second(self):
        """Kills the second node and everything on it."""
        kill(descendants(self.nodes[1].pid))


def run_scale(videos, output, *address, watch=None, total=0):
    """(seconds, seconds until the first rows, the command's JSON)."""
    begun, first = time.monotonic(), None
    command = [*COMMAND, "scale", "features", videos, output, *SETTINGS, "--json", *address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        done = sum(1 for _ in output.glob("results/*/*.parquet"))
        if done and first is None:
            first = time.monotonic() - begun
        if watch is not None:
            watch(done / total)
        time.sleep(0.2)
    if process.returncode != 1:  # one video is none
        sys.exit(f"the run ended with code {process.returncode}")
    result = json.loads(process.stdout.read())
    return time.monotonic() - begun, first, result


def check(names, output, single):
    """Compares the rows with the files of a single process; returns counts."""
    table = pyarrow.dataset.dataset(output / "results", partitioning="hive").to_table()
    rows = collections.defaultdict(list)
    for row in table.select(["video", "key", "start", "end", "features"]).to_pylist():
        rows[row["video"]].append(row)
    keys = collections.Counter(
        key for _, key in {(r["video"], r["key"]) for v in rows.values() for r in v}
    )
    worst, equal, twice = 0.0, 0, 0
    for name in names:
        with np.load((single / name).with_suffix(".npz")) as file:
            expected, start, metadata = (
                file["features"],
                file["start"],
                json.loads(str(file["metadata"])),
            )
        values = np.array([row["features"] for row in rows[name]], np.float32)
        twice += len(values) > len(expected)
        assert values.shape == expected.shape, name
        assert [row["start"] for row in rows[name]] == start.tolist(), name
        assert {row["key"] for row in rows[name]} == {metadata["key"]}, name
        worst = max(worst, float(np.abs(values - expected).max()))
        equal += np.array_equal(values, expected)
    failures = pyarrow.parquet.read_table(output / "failures.parquet").to_pylist()
    assert [row["video"] for row in failures] == ["broken.mp4"], failures
    listed = pyarrow.parquet.read_table(output / "videos.parquet")["video"].to_pylist()
    assert listed == names
    return {
        "videos": len(names),
        "with rows": len(rows),
        "missing": len({*names} - {*rows}),
        "rows": len(table),
        "rows twice": twice,
        "keys twice": sum(count > 1 for count in keys.values()),
        "largest difference": worst,
        "equal to the bit": equal,
        "in the failure table": len(failures),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--cpus", type=int, default=2, help="processors of each node")
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--without-baseline", action="store_true", help="no run without kills")
    options = parser.parse_args()
    folder = options.folder or pathlib.Path(tempfile.mkdtemp(prefix="scale-"))
    videos = folder / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    if not videos.exists():
        make_videos(videos, options.videos)
    names = sorted(
        path.relative_to(videos).as_posix()
        for path in videos.rglob("*.mp4")
        if path.stem != "broken"
    )
    for name in ("single", "killed", "whole"):
        shutil.rmtree(folder / name, ignore_errors=True)

    begun = time.monotonic()
    command = [*COMMAND, "features", videos, "--output", folder / "single", *SETTINGS, "--json"]
    subprocess.run(command, stdout=subprocess.DEVNULL)
    single = time.monotonic() - begun

    whole = None
    with Nodes(options.cpus, folder) as nodes:
        address = ("--address", nodes.address)
        if not options.without_baseline:
            whole, first_whole, _ = run_scale(videos, folder / "whole", *address)
        kills = []

        def watch(share):
            if share >= 0.25 and not kills and nodes.kill_network():
                kills.append(("a network's process", share))
            if share >= 0.5 and len(kills) == 1:
                nodes.kill_second()
                kills.append(("the second node", share))

        killed, first, result = run_scale(
            videos, folder / "killed", *address, watch=watch, total=len(names)
        )
        assert len(kills) == 2, kills
        again, _, repeated = run_scale(videos, folder / "killed", *address)
    counts = check(names, folder / "killed", folder / "single")
    assert not counts["missing"] and not counts["rows twice"] and not counts["keys twice"], counts
    assert (repeated["made"], repeated["kept"]) == (0, len(names)), repeated

    rows = [{"count": name, "value": value} for name, value in counts.items()]
    times = {"a single process (`features`)": single}
    if whole is not None:
        times[f"two nodes (first rows after {first_whole:.0f} s)"] = whole
    times[f"two nodes, killed (first rows after {first:.0f} s)"] = killed
    times["the same again: nothing to do"] = again
    ratios = ", ".join(
        f"{name} {seconds:.0f} s ({seconds / single:.2f} times)" for name, seconds in times.items()
    )
    deaths = ", ".join(f"{name} at {100 * share:.0f} % of the videos" for name, share in kills)
    publish(
        "scale",
        "Features on a cluster of two nodes",
        f"python benchmarks/scale_cluster.py --videos {options.videos}",
        rows,
        notes=(
            f"Videos of 32 frames, 48x64 pixels, and a file that is none; the small network "
            f"`rgb_figures`. Killed by SIGKILL: {deaths}. The command reported {result['made']} "
            f"made.\n\nBoth nodes, of {options.cpus} processors each, share this machine, as does "
            f"the single process: the ratio is the overhead of Ray, not a gain. {ratios}. "
            f"Ray {importlib.metadata.version('ray')}, "
            f"PyArrow {importlib.metadata.version('pyarrow')}."
        ),
    )


if __name__ == "__main__":
    main()
