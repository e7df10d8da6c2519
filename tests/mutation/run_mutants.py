"""Changes one thing of the code at a time, and counts how often a test notices.

`make mutants` runs it; `--packages` and `--count` choose. The changes are those of mutmut's
operators, at places drawn by the seed. They are made in a copy of the checkout. A process that has
imported TensorFlow and the like, and nothing of the package, forks for each: the fork imports the
changed package and runs the tests whose lines met the place when nothing was changed, quickest
first, then the other tests of the package. A mutant is caught if a test fails or does not end.
"""

import argparse
import collections
import compileall
import contextlib
import dataclasses
import json
import os
import pathlib
import py_compile
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback

import mutants
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPLAINED = pathlib.Path(__file__).with_name("equivalent.toml")
MEMORY = 12 << 30  # of a fork: a changed size may ask for any
IDLE = 120  # seconds without any use of the processor: a fork waits for ever
# Tests marked slow are left out, but those of whole files without which a module has none; --slow.
SLOW_FILES = ["tests/evaluation/test_protocols.py"]
LIBRARIES = ("av", "cv2", "h5py", "keras", "matplotlib.figure", "numba", "PIL.Image", "safetensors")


@dataclasses.dataclass(frozen=True)
class Package:
    """Files that are changed, and the tests that are to notice."""

    files: tuple
    tests: tuple


PACKAGES = {
    "weights": Package(
        ("weights/**/*.py",),
        (
            "tests/weights",
            "tests/models/test_activation.py",
            "tests/models/test_convert.py",
            "tests/cli/test_weights_command.py",
        ),
    ),
    "video": Package(
        ("video/*.py",), ("tests/video", "tests/data/test_spans.py", "tests/core/test_clip_spec.py")
    ),
    "data": Package(
        (
            "data/transforms.py",
            "data/views.py",
            "data/pipeline.py",
            "data/streams.py",
            "data/video_clips.py",
            "core/clip_spec.py",
        ),
        (
            "tests/data/test_joint_pipeline.py",
            "tests/data/test_load_streams.py",
            "tests/data/test_pipeline.py",
            "tests/data/test_spans.py",
            "tests/data/test_transforms.py",
            "tests/data/test_views.py",
            "tests/core/test_clip_spec.py",
            "tests/video/test_sampling.py",
        ),
    ),
    "flow": Package(("flow/*.py",), ("tests/flow", "tests/cli/test_flow_command.py")),
    "metrics": Package(
        (
            "evaluation/compare.py",
            "evaluation/fvd*.py",
            "evaluation/metrics.py",
            "evaluation/protocols.py",
            "evaluation/result.py",
            "core/average_precision.py",
        ),
        ("tests/evaluation", "tests/core/test_average_precision.py"),
    ),
}


class Session:
    """A plugin of pytest: chooses tests, notes the first failure and, if asked, what tests run."""

    def __init__(self, chosen=None, coverage=None):
        self.chosen, self.coverage = chosen, coverage
        self.seconds = {}
        self.failed = []

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self._is_chosen(item)]

    def _is_chosen(self, item):
        if self.chosen is not None:
            return item.nodeid in self.chosen
        is_slow = item.get_closest_marker("slow") and SLOW_FILES
        return not is_slow or item.nodeid.partition("::")[0] in SLOW_FILES

    def _switch(self, context):
        if self.coverage:
            self.coverage.switch_context(context)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        self._begin = time.process_time()
        self._switch(item.nodeid.partition("::")[0])  # fixtures: of all tests of the file

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        self._switch(item.nodeid)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid):
        self.seconds[nodeid] = time.process_time() - self._begin

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)


class Copy:
    """A copy of the checkout, in which the mutants are made."""

    def __init__(self, work):
        self.work, self.root = work, work / "checkout" / "copy"
        words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, self.root / name)
        # By the hash of the source: a mutant is written within the same second.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.root / "kinetics_i3d", quiet=1, invalidation_mode=mode)
        self._git("init", "--quiet")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "copy")

    def _git(self, *words):
        identity = ["-c", "user.name=mutants", "-c", "user.email=mutants@localhost"]
        return subprocess.run(
            ["git", *identity, *words], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout

    def restore(self):
        """Undoes the change, and what it made the tests leave behind."""
        if self._git("status", "--porcelain"):
            self._git("checkout", "--quiet", ".")
            self._git("clean", "-fdq")

    def run(self, tests, session, seconds, result=None):
        """Runs tests in a fork for at most so many seconds of its processor, and 20 times that.

        One that waits for ever, as for a lock, is ended earlier.
        """
        answer, log = self.work / "answer.json", self.work / "log.txt"
        answer.unlink(missing_ok=True)
        temporary = pathlib.Path(tempfile.gettempdir())
        temporary.mkdir(exist_ok=True)
        process = os.fork()
        if not process:
            try:
                self._run_here(tests, session, int(seconds), answer, log, temporary, result)
            except BaseException:  # noqa: BLE001 - the fork must end here
                traceback.print_exc()
                os._exit(9)
        begin = active = time.monotonic()
        used = 0
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            now = time.monotonic()
            if used != (used := _processor_ticks(process)):
                active = now
            late = now > begin + 20 * seconds or now > active + IDLE
            if ended or late:
                break
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)  # with the children that it has left
        if late and not ended:
            os.waitpid(process, 0)
        shutil.rmtree(temporary, ignore_errors=True)
        if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
            return {"outcome": "time-out", "test": "", "made": None}
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
            name = signal.Signals(os.WTERMSIG(status)).name
            return {"outcome": "caught", "test": name, "made": None}
        if not answer.exists():  # killed from outside, as when the machine has no memory left
            raise SystemExit(f"a fork ended with status {status}: {log.read_text()[-2000:]}")
        return json.loads(answer.read_text())

    def _run_here(self, tests, session, seconds, answer, log, temporary, result):
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(file, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(self.root)
        sys.path.insert(0, str(self.root))
        if session.coverage:
            session.coverage.start()
        try:
            import kinetics_i3d  # and its models, as Keras is imported already
        except Exception:  # noqa: BLE001 - whatever the change raises
            answer.write_text(json.dumps({"outcome": "caught", "test": "import", "made": None}))
            os._exit(0)
        if not kinetics_i3d.__file__.startswith(str(self.root)):
            raise ImportError(kinetics_i3d.__file__)
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        options.append(f"--basetemp={temporary / 'tests'}")
        if not result:
            options.append("-x")
        code = pytest.main([*options, *tests], plugins=[session])
        if session.coverage:
            session.coverage.stop()
        outcome = (
            "survived"
            if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
            else "caught"
        )
        test = session.failed[0] if session.failed else "collection" if code else ""
        made = result(session) if result else None
        answer.write_text(json.dumps({"outcome": outcome, "test": test, "made": made}))
        os._exit(0)


def _processor_ticks(process):
    """What a process has taken of the processor; another number each time without `/proc`."""
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return time.monotonic()
    return sum(map(int, text.rpartition(")")[2].split()[11:15]))  # proc(5): utime to cstime


class Tests:
    """The tests of a package: how long each takes, and which lines it meets."""

    def __init__(self, copy, package):
        import coverage

        self.copy = copy
        measured = coverage.Coverage(
            data_file=None, source=[str(copy.root / "kinetics_i3d")], config_file=False
        )
        tests = [name for name in package.tests if (copy.root / name).exists()]
        answer = copy.run(tests, Session(coverage=measured), 3600, self._measure)
        if answer["made"] is None:
            raise SystemExit(f"the tests do not run: {(copy.work / 'log.txt').read_text()[-2000:]}")
        self.seconds, self.contexts, failed = answer["made"]
        print(f"{len(self.seconds)} tests, {sum(self.seconds.values()):.0f} s", flush=True)
        for name in failed:
            print(f"left out, fails without a change: {name}", flush=True)
            self.seconds.pop(name, None)

    def _measure(self, session):
        data = session.coverage.get_data()
        contexts = {
            os.path.relpath(path, self.copy.root): data.contexts_by_lineno(path)
            for path in data.measured_files()
        }
        return dict(session.seconds), contexts, session.failed

    def of_lines(self, path, lines):
        """Names of the tests that meet any of the lines of a file (of all, with None)."""
        covering = set()
        for line, contexts in self.contexts.get(path, {}).items():
            if lines is None or int(line) in lines:
                covering.update(contexts)
        covering.discard("")
        return {
            name
            for name in self.seconds
            if name in covering or (lines is not None and name.partition("::")[0] in covering)
        }

    def quickest(self, names, limit):
        """As many of the tests as fit into so many seconds, and how many they take."""
        chosen, total = set(), 0
        for name in sorted(names, key=lambda name: (self.seconds[name], name)):
            if chosen and total + self.seconds[name] > limit:
                break
            chosen.add(name)
            total += self.seconds[name]
        return chosen, total

    def run(self, names, limit):
        names, total = self.quickest(names, limit)
        files = collections.Counter()
        for name in names:
            files[name.partition("::")[0]] += self.seconds[name]
        order = sorted(files, key=files.get)
        answer = self.copy.run(order, Session(names), 30 + 8 * total)
        return {**answer, "tests": len(names)}

    def judge(self, mutant, limit):
        """Whether a mutant is caught: by the tests that meet its place, its file, or by others."""
        first = self.of_lines(mutant.path, mutant.lines)
        if not first:  # a line inside of a statement
            first = self.of_lines(mutant.path, {mutant.statement})
        answer = {"outcome": "survived", "test": "", "made": None, "tests": 0, "met": bool(first)}
        path = self.copy.root / mutant.path
        path.write_text(mutant.text, encoding="utf-8")
        done = set()
        try:
            # Compiled functions, child processes and the import are not seen to run.
            for names in (first, self.of_lines(mutant.path, None), set(self.seconds)):
                chosen, _ = self.quickest(names - done, limit)
                if chosen and answer["outcome"] == "survived":
                    answer |= self.run(chosen, limit)
                    done |= chosen
            return {**answer, "tests": len(done)}
        finally:
            self.copy.restore()

    def confirm(self, rows):
        """Runs the tests that caught mutants once more without a change: they must pass."""
        names = {row["test"] for row in rows if row.get("test") in self.seconds}
        if names and self.run(names, float("inf"))["outcome"] != "survived":
            print("tests that caught mutants fail without a change too; see which, and why:")
            print((self.copy.work / "log.txt").read_text()[-2000:], flush=True)


def explained():
    """{(file, change): why no test can notice it}"""
    rows = (
        tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["mutant"] if EXPLAINED.exists() else []
    )
    return {(row["file"], row["change"].strip("\n")): row["reason"] for row in rows}


def prepare(work):
    """Sets variables and imports libraries for the forks."""
    os.environ.update(
        HOME=str(work / "home"),
        KERAS_HOME=str(work / "home"),
        KINETICS_I3D_CACHE=str(work / "cache"),
        NUMBA_CACHE_DIR=str(work / "numba"),
        TF_CPP_MIN_LOG_LEVEL="3",
        TF_NUM_INTRAOP_THREADS="1",
        OMP_NUM_THREADS="1",
        PYTHONPATH=str(work / "checkout" / "copy"),
    )
    os.environ.setdefault("KINETICS_I3D_SHARED", str(ROOT.parent / "shared"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    tempfile.tempdir = os.environ["TMPDIR"] = str(work / "temporary")
    (work / "home").mkdir()
    import tensorflow  # noqa: F401

    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            __import__(name)


def table(rows):
    """Prints the counts of each package."""
    print("| package | places | mutants | caught | by time-out | equivalent | survived | score |")
    print("|---|---|---|---|---|---|---|---|")
    for package in dict.fromkeys(row["package"] for row in rows):
        own = [row for row in rows if row["package"] == package]
        counts = collections.Counter(row["outcome"] for row in own)
        late, same, survived = (counts[name] for name in ("time-out", "equivalent", "survived"))
        caught = counts["caught"] + late
        print(
            f"| `{package}` | {own[0]['places']:,} | {len(own)} | {caught} | {late} | {same} | "
            f"{survived} | {caught / len(own):.0%} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--count", type=int, default=60, help="mutants of each package")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--limit", type=float, default=8, help="seconds of tests of a mutant, three times"
    )
    parser.add_argument("--output", type=pathlib.Path, help="a file of JSON lines; continued")
    parser.add_argument("--again", action="store_true", help="only those that survived in OUTPUT")
    parser.add_argument("--slow", action="store_true", help="the tests marked slow too")
    options = parser.parse_args()
    if options.slow:
        SLOW_FILES.clear()
    recorded = {}
    if options.output and options.output.exists():
        for line in options.output.read_text().splitlines():
            row = json.loads(line)
            recorded[row["package"], row["file"], row["change"]] = row
    reasons = explained()
    work = pathlib.Path(tempfile.mkdtemp(prefix="kinetics_i3d_mutants_"))
    rows = []
    try:
        copy = Copy(work)
        prepare(work)
        for name in options.packages:
            package = PACKAGES[name]
            folder = copy.root / "kinetics_i3d"
            paths = {path for pattern in package.files for path in folder.glob(pattern)}
            chosen, places = mutants.sample(copy.root, paths, options.count, options.seed)
            tests = None
            for mutant in chosen:
                row = recorded.get((name, mutant.path, mutant.change))
                if row is None or (options.again and row["outcome"] == "survived"):
                    row = {"package": name, "file": mutant.path, "line": mutant.lines.start}
                    row |= {"change": mutant.change, "places": places}
                    if (mutant.path, mutant.change) in reasons:
                        row["outcome"] = "equivalent"
                    else:
                        tests = tests or Tests(copy, package)
                        begin = time.monotonic()
                        answer = tests.judge(mutant, options.limit)
                        answer.pop("made")
                        row |= answer | {"seconds": round(time.monotonic() - begin, 1)}
                    if options.output:
                        with options.output.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                    print(
                        f"{name} {mutant.name}: {row['outcome']} {row.get('test', '')}", flush=True
                    )
                    if row["outcome"] == "survived":
                        print(mutant.change, flush=True)
                rows.append(row)
            if tests:
                tests.confirm([row for row in rows if row["package"] == name])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print()
    table(rows)


if __name__ == "__main__":
    main()
