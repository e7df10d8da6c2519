"""Injects faults into every verb that writes: nothing lost, nothing half-written, one line each.

`make faults` runs it; `--only VERB` and `--kinds KIND` choose. Each fault is a fork of a process
that has imported everything, which runs the real command on small inputs. After the fault whatever
stands under a final name is read back, and the command is repeated without a fault: it must succeed
and leave no temporary file. Full disks and read-only folders are mounted and need root; without it
the size of files is limited instead, and folders lose their permissions.
"""

import argparse
import collections
import contextlib
import csv
import ctypes
import dataclasses
import functools
import hashlib
import importlib.util
import itertools
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
LIMIT = 600  # seconds of a run
# Files of the commands in which a leading dot does not mean that they are temporary.
KEPT_HIDDEN = re.compile(r"\..*\.lock|\.lock")

# {verb: words}; {w} is the folder of the inputs and {out} the output. What follows `>` is the file
# that stdout is redirected to.
WEIGHTS = "{w}/weights.h5"
VIDEO = "{w}/videos/sit/0.mp4"
QUICK = "--method farneback"
VERBS = {
    "classify": f"classify {VIDEO} --weights {WEIGHTS} --output {{out}}.png",
    "timeline": f"timeline {VIDEO} --weights {WEIGHTS} --window 16 --segments --picture --output "
    "{out}",
    "watch": f"watch {VIDEO} --weights {WEIGHTS} --window 16 --every 0.1 --json > {{out}}.jsonl",
    "features": f"features {{w}}/videos --weights {WEIGHTS} --window 16 --output {{out}}",
    "doctor": f"doctor {VIDEO} --weights {WEIGHTS} --output {{out}}.png",
    "datasets": "datasets {w}/videos --output {out}.csv",
    "flow": f"flow {{w}}/videos --output {{out}} {QUICK}",
    "figures": "figures --output {out} --train-per-action 1 --test-per-action 0 --frames 4 "
    "--size 32 48 --workers 1",
    "prepare": "prepare {w}/table.csv --output {out} --streams rgb --short-side 40",
    "fvd": "fvd {w}/videos {w}/videos --weights {w}/fvd.h5 --frames 16 --save-real {out}.npz",
    "fvd-kept": "fvd {w}/real.npz {w}/videos --weights {w}/fvd.h5 --frames 16 --save-generated "
    "{out}.npz",
    "evaluate": f"evaluate {{w}}/table.csv --weights {WEIGHTS} --split test --output {{out}}",
    "convert": f"convert {WEIGHTS} --output {{out}}.safetensors",
    "convert-keras": f"convert {WEIGHTS} --output {{out}}.keras",
    "convert-weights": "convert rgb_figures --output {out}.weights.h5",
    "inflate": "inflate {w}/image.h5 --output {out}.h5",
    "train": "train InceptionI3D --data {w}/table.csv --output {out} --architecture ARCH "
    "--frames 9 --size 32 --test-size 32 --test-short-side 36 --epochs 2 --batch-size 2 "
    "--validation test",
    "tables": "tables --data {w}/table.csv --output {out} --runs TwoStreamI3D.rgb.scratch.* "
    "--steps 2 --seeds 1 --save-every 1",
    "draw-filmstrip": f"draw filmstrip {VIDEO} --weights {WEIGHTS} --output {{out}}.png",
    "draw-grad-cam": f"draw grad-cam {VIDEO} --weights {WEIGHTS} --output {{out}}.gif",
    "draw-flow": f"draw flow {VIDEO} --output {{out}}.mp4",
    "draw-timeline": f"draw timeline {VIDEO} --weights {WEIGHTS} --output {{out}}.png",
    "draw-kernels": f"draw kernels --weights {WEIGHTS} --output {{out}}.png",
    "draw-confusion": "draw confusion {w}/tested --output {out}.png",
    "draw-curves": "draw curves {w}/run --output {out}.png",
    "draw-embedding": f"draw embedding {{w}}/videos --weights {WEIGHTS} --output {{out}}.png",
    "export-savedmodel": f"export {WEIGHTS} --to savedmodel --output {{out}}",
    "export-hub": f"export {WEIGHTS} --to hub --output {{out}}",
    "export-serving": f"export {WEIGHTS} --to serving --output {{out}}",
    "export-litert": f"export {WEIGHTS} --to litert --frames 16 --output {{out}}.tflite",
    "export-onnx": f"export {WEIGHTS} --to onnx --output {{out}}.onnx",
    "export-openvino": f"export {WEIGHTS} --to openvino --output {{out}}",
    "scale-features": "scale features {w}/videos --output {out} --weights rgb_figures --networks 1",
    "scale-flow": f"scale flow {{w}}/videos --output {{out}} {QUICK}",
    "scale-prepare": "scale prepare {w}/table.csv --output {out} --streams rgb --short-side 40",
}
# {verb: packages without which it is left out}
NEEDS = {
    "export-litert": ("ai_edge_litert",),
    "export-onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "export-openvino": ("openvino",),
    "scale-features": ("ray", "pyarrow"),
    "scale-flow": ("ray", "pyarrow"),
    "scale-prepare": ("ray", "pyarrow"),
}
# Verbs that go on where a run ended, and so must be able to after a completed one too.
RESUMED = (
    *("features", "flow", "prepare", "train", "figures", "evaluate", "tables"),
    *("scale-features", "scale-flow", "scale-prepare"),
)
# Verbs whose repeated run must write the very weights of a run without a fault.
EXACT = ("train", "tables")
KINDS = (
    "kill",
    "kill before the name",
    "terminate",
    "interrupt",
    "swallowed interrupt",
    "full disk",
    "full disk at once",
    "read-only folder",
    "no permission",
    "lost permission",
    "two processes",
    "clock jumps",
    "closed stdout",
    "head -0",
    "no home",
)
# What is written into a file that the shell has opened has neither a temporary name nor a lock.
OF_STDOUT = (
    *("kill", "terminate", "interrupt", "full disk", "full disk at once", "clock jumps"),
    *("head -0", "no home"),
)


def make_inputs(folder):
    """Six small videos, weights of tiny networks, and what verbs read that others have written."""
    import numpy as np
    import short_network

    import kinetics_i3d as ki3d

    pixels = np.random.default_rng(0)
    rows = [("path", "label", "split")]
    for number in range(6):
        label = ("sit", "stand", "wave")[number % 3]
        name = f"videos/{label}/{number}.mp4"
        frames = pixels.integers(0, 256, (20, 40, 48, 3), np.uint8)
        ki3d.write_video(folder / name, frames, fps=25)
        rows.append((name, label, "test" if number > 3 else "train"))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    model = short_network.tiny_model()
    ki3d.save_weights(model, folder / "weights.h5", labels=model.labels, clip_spec=model.clip_spec)
    image = ki3d.InceptionV1(architecture=short_network.register(), classes=3)
    ki3d.save_weights(image, folder / "image.h5", labels=model.labels)
    fvd = ki3d.InceptionI3D(architecture=short_network.register(), classes=400)
    ki3d.save_weights(fvd, folder / "fvd.h5")
    protocol = ki3d.FVDProtocol("kept", frames=16)
    ki3d.fvd_features(folder / "videos", protocol=protocol, weights=folder / "fvd.h5").save(
        folder / "real.npz"
    )
    from kinetics_i3d.cli.main import main

    words = ["evaluate", folder / "table.csv", "--weights", folder / "weights.h5"]
    if main([*map(str, words), "--split", "test", "--output", str(folder / "tested")]):
        raise SystemExit("the evaluation cannot be made")
    (folder / "run").mkdir()
    (folder / "run" / "history.csv").write_text(
        "epoch,step,loss,accuracy,learning_rate\n1,10,2.0,0.3,0.1\n2,20,1.0,0.6,0.01\n"
    )


def smallest_tables(architecture):
    """The scale `mini` of `tables` with the smallest networks and clips."""
    from kinetics_i3d.experiments.scales import SCALES

    sizes = {"frames": 9, "size": 32, "test_size": 32, "test_short_side": 36, "batch_size": 2}
    mini = SCALES["mini"]
    config = dataclasses.replace(
        mini.configs["TwoStreamI3D"], architecture=architecture, warmup=0.0, **sizes
    )
    SCALES["mini"] = dataclasses.replace(
        mini, configs={**mini.configs, "TwoStreamI3D": config}, seeds=1
    )


def drop_permissions():
    """Makes root obey the permissions of files: drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(head, sets)
    for index in range(2):
        sets[index] &= ~0b110
    if libc.capset(head, sets):
        raise OSError(ctypes.get_errno(), "capset")


def jump_clock():
    """Makes `time.time` jump by a year, forwards and backwards."""
    real, year = time.time, 365 * 86400
    time.time = lambda: real() + random.choice((-year, 0, year))


def die_before_the_name():
    """Kills this process where a file would get its name."""

    def replace(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


def swallow_interrupt(mark):
    """Sends Ctrl-C to this process in a destructor, where Python drops the KeyboardInterrupt."""

    class Dropped:
        def __del__(self):
            mark.touch()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.001)

    from kinetics_i3d.core import files

    begin = files.remove_leftovers

    def interrupted(folder):
        Dropped()
        return begin(folder)

    files.remove_leftovers = interrupted
    sys.unraisablehook = lambda *_: None


@functools.cache
def can_mount():
    """Whether file systems can be mounted here: by root, but not in every container."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        words = ["mount", "-t", "tmpfs", "tmpfs", folder]
        if subprocess.run(words, capture_output=True, check=False).returncode != 0:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def start(words, log, *, prepare=None, stdout="file", environment=()):
    """Forks this process and runs the command there; returns its process id."""
    process = os.fork()
    if process:
        return process
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, value in environment:
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        output = os.open(f"{log}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        if isinstance(stdout, pathlib.Path):
            output = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        if stdout == "pipe":
            reader, output = os.pipe()
            os.close(reader)
        os.dup2(output, 1)
        os.dup2(os.open(f"{log}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        if stdout == "closed":
            os.close(1)
            sys.stdout = None
        if prepare is not None:
            prepare()
        sys.argv = ["kinetics-i3d", *words]
        from kinetics_i3d.cli import main

        main.run()
    except SystemExit as stop:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(stop.code if isinstance(stop.code, int) else bool(stop.code))
    except BaseException:  # noqa: BLE001 - the fork must end here
        import traceback

        traceback.print_exc()
        os._exit(99)
    os._exit(0)


def wait(process, seconds=LIMIT):
    """The exit code of a process; negative for a signal, None after too many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def visible(folder):
    """The files under a folder whose names, and whose folders' names, do not begin with a dot."""
    return sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and not any(part[0] == "." for part in path.relative_to(folder).parts)
    )


def check_files(folder, *, redirected=False):
    """Problems of what stands under a final name: each file is read by what its suffix says.

    Args:
        folder: Where it stands.
        redirected: Whether it is the redirected stdout of a run that may have been killed.
    """
    import av
    import numpy as np
    from PIL import Image

    from kinetics_i3d.weights.formats import read_arrays

    problems = []
    for name in visible(folder):
        path = folder / name
        try:
            match path.suffix:
                case ".json":
                    json.loads(path.read_text())
                case ".jsonl" if redirected:  # the last line may have been cut
                    [json.loads(line) for line in path.read_text().split("\n")[:-1]]
                case ".jsonl":
                    [json.loads(line) for line in path.read_text().splitlines()]
                case ".csv" | ".txt" | ".html" | ".md":
                    assert path.read_text().strip(), "empty"
                case ".png":
                    Image.open(path).load()
                case ".npy":
                    np.load(path, allow_pickle=False)
                case ".npz":
                    with np.load(path, allow_pickle=False) as arrays:
                        [arrays[key] for key in arrays.files]
                case ".safetensors" | ".keras":
                    read_arrays(path)
                case ".h5":
                    import h5py

                    h5py.File(path).close()
                case ".mp4":
                    with av.open(str(path)) as video:
                        assert sum(1 for _ in video.decode(video=0)), "no frames"
                case _:
                    assert path.stat().st_size, "empty"
        except Exception as error:  # noqa: BLE001 - any means that it cannot be read
            problems.append(f"{name}: {type(error).__name__}: {error}")
    return problems


def check_lines(log, most=1):
    """Problems of stderr: a traceback, or more errors than `most`."""
    text = pathlib.Path(f"{log}.err").read_text(errors="replace")
    if "Traceback" in text or "Fatal Python error" in text:
        return [f"a traceback: {text.strip().splitlines()[-1]}"]
    errors = [line for line in text.replace("\r", "\n").splitlines() if "error:" in line]
    return [f"{len(errors)} errors"] if len(errors) > most else []


class Case:
    """A verb with its output in a folder of its own."""

    def __init__(self, verb, inputs, work, architecture, reference=None):
        self.verb, self.reference = verb, reference
        self.folder = work / f"{verb}-{random.randrange(10**9)}"
        self.folder.mkdir()
        self.place = self.folder / "place"
        self.place.mkdir()
        self.out = self.place / "out"
        self.log = self.folder / "log"
        text = VERBS[verb].replace("{w}", str(inputs)).replace("{out}", str(self.out))
        self.words, _, redirected = text.replace("ARCH", architecture).partition(" > ")
        self.words = self.words.split()
        self.stdout = pathlib.Path(redirected) if redirected else "file"
        self.mounted = False

    def mount(self, size):
        """Mounts a file system of so many bytes over the folder of the output."""
        options = f"size={max(4096, int(size))},nr_inodes=0"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.place], check=True)
        self.mounted = True

    def remount(self, option):
        subprocess.run(["mount", "-o", f"remount,{option}", self.place], check=True)

    def close(self):
        """Removes everything."""
        if self.mounted:
            subprocess.run(["umount", "-l", self.place], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def size(self):
        return sum((self.place / name).stat().st_size for name in visible(self.place))

    def weights(self):
        """{name: digest of the arrays} of the weights of a verb that must write them exactly."""
        import h5py

        if self.verb not in EXACT:
            return {}
        digests = {}
        for name in visible(self.place):
            if name.name == "weights.h5":
                items = []
                with h5py.File(self.place / name) as file:
                    file.visititems(lambda path, item, items=items: items.append((path, item)))
                    arrays = [(path, item[()]) for path, item in items if hasattr(item, "shape")]
                digest = hashlib.sha256()
                for path, array in sorted(arrays, key=lambda row: row[0]):
                    digest.update(path.encode() + array.tobytes())
                digests[name] = digest.hexdigest()
        return digests

    def repeat(self):
        """Runs the command without a fault; its problems."""
        code = wait(start(self.words, self.log, stdout=self.stdout))
        problems = check_lines(self.log) + check_files(self.place)
        if code != 0:
            text = pathlib.Path(f"{self.log}.err").read_text(errors="replace").strip()
            problems.append(f"the repeated run ends with {code}: {text.splitlines()[-1:]}")
        files = visible(self.place)
        if self.reference is not None and files != self.reference["files"]:
            lacking = {*self.reference["files"]} ^ {*files}
            problems.append(f"other files than without a fault: {sorted(map(str, lacking))[:5]}")
        if self.reference is not None and self.weights() != self.reference["weights"]:
            problems.append("other weights than without a fault")
        hidden = [
            path.name for path in self.place.rglob(".*") if not KEPT_HIDDEN.fullmatch(path.name)
        ]
        return problems + [f"left behind: {name}" for name in hidden]


def inject(case, kind):
    """Runs a case with a fault: (outcome in words, problems)."""
    seconds = case.reference["seconds"]
    moment = random.uniform(0.1, 0.95) * seconds
    options = {"stdout": case.stdout}
    match kind:
        case "kill before the name":
            options["prepare"] = die_before_the_name
        case "swallowed interrupt":
            mark = case.folder / "interrupted"  # work in other processes is not reached
            options["prepare"] = lambda: swallow_interrupt(mark)
        case "clock jumps":
            options["prepare"] = jump_clock
        case "closed stdout":
            options["stdout"] = "closed"
        case "head -0":
            options["stdout"] = "pipe"
        case "no home":
            names = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME")
            options["environment"] = [(name, None) for name in names]
        case "full disk" | "full disk at once" if case.stdout != "file":
            options["stdout"] = pathlib.Path("/dev/full")  # a page of a disk would hold all lines
        case "full disk" | "full disk at once":
            size = case.reference["size"] * random.uniform(0.1, 0.7) if kind == "full disk" else 0
            if can_mount():
                case.mount(size)
            else:
                limit = max(4096, int(size))
                options["prepare"] = lambda: resource.setrlimit(
                    resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
                )
        case "read-only folder" if can_mount():
            case.mount(2**30)
            case.remount("ro")
        case "no permission" | "read-only folder":
            case.place.chmod(0o500)
            options["prepare"] = drop_permissions
        case "lost permission":
            options["prepare"] = drop_permissions
    process = start(case.words, case.log, **options)
    second = None
    match kind:
        case "kill" | "terminate" | "interrupt":
            time.sleep(moment)
            number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}.get(kind, signal.SIGINT)
            os.kill(process, number)
        case "lost permission":
            time.sleep(moment)
            for folder in (case.out, case.place):
                if folder.is_dir():
                    folder.chmod(0o500)
        case "two processes":
            second = start(case.words, f"{case.log}2")
    codes = [wait(process)] + ([wait(second)] if second else [])
    redirected = case.stdout != "file"
    most = 6 if case.verb in ("flow", "scale-flow") else 1  # of each video
    problems = check_lines(case.log, most) + (check_lines(f"{case.log}2", most) if second else [])
    if None in codes:
        problems.append(f"still running after {LIMIT} seconds")
    allowed = {
        "kill": (0, -9),
        "kill before the name": (0, -9),
        "terminate": (0, 143, 75, -15),
        "interrupt": (0, 130),
        "swallowed interrupt": (130,) if (case.folder / "interrupted").exists() else (0,),
        "clock jumps": (0,),
        "closed stdout": (0,),
        "head -0": (0, 141),
        "full disk": (2,) if redirected else (0, 1, 2),
        "full disk at once": (2,) if redirected else (0, 1, 2),
        "no home": (0,),
        "two processes": (0, 1, 2),
    }.get(kind, (0, 1, 2))
    problems += [f"exit code {code}" for code in codes if code not in allowed]
    if kind == "two processes" and 0 not in codes:
        problems.append("neither of two processes succeeded")
    written = check_files(case.place, redirected=redirected)
    problems += [f"half-written: {problem}" for problem in written]
    if case.mounted:  # what is there stays; the rest may be written now
        case.remount(f"rw,size={2**30}")
    for folder in (case.place, case.out):
        if folder.is_dir():
            folder.chmod(0o755)
    # After `| head -0` only the printed path is missing; exports refuse an output that exists.
    complete = 141 in codes and visible(case.place) == case.reference["files"]
    if not (0 in codes or complete) or case.verb in RESUMED:
        problems += [f"repeated: {problem}" for problem in case.repeat()]
    words = {0: "completed", 130: "interrupted", 141: "ended silently", 143: "ended", -9: "killed"}
    words[75] = "state saved"
    outcome = " and ".join(words.get(code, "one line") for code in codes)
    return outcome, problems


def locale_faults(inputs, work):
    """Runs new processes with other locales, without HOME, and names that are not ASCII."""
    variants = {
        "C": {"LC_ALL": "C"},
        "POSIX": {"LC_ALL": "POSIX"},
        "C, not coerced": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        "tr_TR.UTF-8": {"LC_ALL": "tr_TR.UTF-8"},
        "no HOME": {"HOME": None},
    }
    for locale, variables in variants.items():
        for verb, template in (
            ("datasets", "datasets {w}/videos --output {out}.csv"),
            ("figures", VERBS["figures"]),
        ):
            folder = pathlib.Path(tempfile.mkdtemp(dir=work))
            words = template.replace("{w}", str(inputs)).replace("{out}", f"{folder}/größe-ı☃")
            environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
            done = subprocess.run(
                [sys.executable, "-m", "kinetics_i3d", *words.split()],
                env={name: value for name, value in environment.items() if value is not None},
                capture_output=True,
                check=False,
            )
            problems = check_files(folder)
            if done.returncode or b"Traceback" in done.stderr:
                problems.append(f"exit code {done.returncode}: {done.stderr[-200:]!r}")
            yield (
                verb,
                f"locale {locale}" if locale != "no HOME" else "no home",
                "completed",
                problems,
            )


def network_faults(work):
    """Downloads from servers that stall, trickle and break off."""
    import socket

    from kinetics_i3d.weights import download

    def serve(server, behavior):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=behavior, args=(connection,), daemon=True).start()

    def stall(connection):
        time.sleep(60)
        connection.close()

    def trickle(connection):
        with contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 25000000\r\n\r\n")
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    def break_off(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 25000000\r\n\r\n" + bytes(1000))
        connection.close()

    def set_patience():
        download.fetch.__kwdefaults__["timeout"] = 1.0
        download.fetch.__kwdefaults__["tries"] = 2

    for behavior in (stall, trickle, break_off):
        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(server, behavior), daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("flow_imagenet_kinetics400", "imagenet_inception5h"):
            log = work / f"network-{behavior.__name__}"
            cache = pathlib.Path(tempfile.mkdtemp(dir=work))
            code = wait(
                start(
                    ["weights", name, "--fetch", "--source", address],
                    log,
                    prepare=set_patience,
                    environment=[("KINETICS_I3D_CACHE", str(cache))],
                ),
                60,
            )
            problems = check_lines(log)
            if code != 1:  # some of several rows failed
                problems.append(f"exit code {code}")
            finished = [path for path in visible(cache) if path.suffix not in (".part", ".json")]
            problems += [f"half-written: {path}" for path in finished]
            yield "weights --fetch", f"network: {behavior.__name__}", "one line", problems
        server.close()


def has_needs(verb):
    """Whether the packages of a verb are installed."""
    return all(importlib.util.find_spec(name) for name in NEEDS.get(verb, ()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=[*filter(has_needs, VERBS)], metavar="VERB")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", metavar="FILE", help="a line of JSON for each fault")
    parser.add_argument("--skip-processes", action="store_true", help="no new processes")
    options = parser.parse_args()
    random.seed(options.seed)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

    from kinetics_i3d.cli.console import load_keras

    load_keras()
    import short_network

    architecture = short_network.register()
    smallest_tables(architecture)
    import av  # noqa: F401
    import h5py  # noqa: F401
    import tensorflow  # noqa: F401

    import kinetics_i3d.cli.main  # noqa: F401 - warms the forks

    work = pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
    counts, failed = collections.Counter(), 0

    def report(verb, kind, outcome, problems):
        nonlocal failed
        counts[kind, "failed" if problems else outcome] += 1
        failed += bool(problems)
        line = {"verb": verb, "fault": kind, "outcome": outcome, "problems": problems}
        print(
            f"{sum(counts.values()):4d} {verb}, {kind}: {'; '.join(problems) or outcome}",
            flush=True,
        )
        if options.output:
            with open(options.output, "a") as file:
                file.write(json.dumps(line) + "\n")

    try:
        inputs = work / "inputs"
        inputs.mkdir()
        process = os.fork()  # a process that has run a network must not be forked
        if not process:
            try:
                make_inputs(inputs)
            except BaseException:  # noqa: BLE001 - the fork must end here
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if wait(process):
            raise SystemExit("the inputs cannot be made")
        if not options.skip_processes:
            for row in itertools.chain(network_faults(work), locale_faults(inputs, work)):
                report(*row)
        for verb in options.only:
            case = Case(verb, inputs, work, architecture)
            begin = time.monotonic()
            problems = case.repeat()
            reference = {
                "seconds": time.monotonic() - begin,
                "files": visible(case.place),
                "size": case.size(),
                "weights": case.weights(),
            }
            case.close()
            if problems:
                report(verb, "none", "", problems)
                continue
            kinds = OF_STDOUT if ">" in VERBS[verb] else options.kinds
            for kind in filter(set(options.kinds).__contains__, kinds):
                case = Case(verb, inputs, work, architecture, reference)
                try:
                    report(verb, kind, *inject(case, kind))
                finally:
                    case.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print()
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{count:4d} {kind}: {outcome}")
    print(f"{sum(counts.values())} faults, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
