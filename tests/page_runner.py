"""Runs what a page of the documentation says, as it is written, in the folder of stand-ins.

`python page_runner.py VERB ...` runs a command of `kinetics-i3d` on the same stand-ins in a process
of its own, as servers and the machines of a cluster need it.
"""

import ast
import functools
import json
import os
import pathlib
import re
import runpy
import shlex
import subprocess
import sys

from doc_pages import ROOT
from page_clusters import (
    RUNNER,
    SLURM,
    localize_workers,
    run_by_hand,
    run_manifest,
    run_on_ray,
    run_slurm,
    script_variables,
)
from page_kotlin import run_kotlin
from page_servers import (
    READY,
    answers,
    free_ports,
    process_of,
    serve_compose,
    serve_grpc,
    serve_rest,
    wait_until,
)
from page_stage import put_short_trainings, put_small_networks, put_stand_ins

# Commands that serve until they are stopped: the address on the page, and a path that answers when
# the server is ready.
SERVERS = {
    "kinetics-i3d demo": ("127.0.0.1:7860", "/"),
    "python examples/mlserver/serve.py": ("localhost:8080", "/v2/models/i3d/ready"),
}
# Of clients that name no address: the option for it, the address on the page, and its path.
CLIENTS = {
    "python examples/ask_web_page.py": ("--server", "127.0.0.1:7860", ""),
    "python examples/serve_video.py": ("--url", "localhost:8501", "/v1/models/i3d"),
}


class PageRunner:
    """Runs the commands and Python blocks of one page in the current folder.

    Args:
        page: The page.
        monkeypatch: pytest's.
        stack: An `ExitStack`, whose end stops the servers.
    """

    def __init__(self, page, monkeypatch, stack):
        self.page, self._patch, self._stack = page, monkeypatch, stack
        self._names = {"__name__": page}
        self._printed = None  # the latest prediction of `watch`
        # {address on the page: address of the server}, and {...: what starts the server}.
        self._addresses = {}
        folder = "served/models/i3d/1"
        self._services = {
            "localhost:8501": functools.partial(serve_rest, folder),
            "localhost:8500": functools.partial(serve_grpc, folder),
        }

    def run(self, block, text):
        """Runs a block, or one of the commands of a block."""
        if block.language == "python":
            text = "\n" * (block.line - 1) + self._with_addresses(text)
            exec(compile(text, self.page, "exec"), self._names)
        elif block.language == "json":  # a line that the command before it prints
            assert json.loads(text).keys() == self._printed.keys()
        elif block.language == "yaml":
            run_manifest(text)
        elif block.language == "kotlin":
            run_kotlin(text)
        elif text.startswith(SLURM):
            run_slurm(text)
        else:
            self.run_command(shlex.split(text))

    def run_text(self, text):
        """Runs a command, by a shell if it needs one."""
        if re.search(r"[$>~]", text):
            variables = {**script_variables("-m kinetics_i3d"), "HOME": os.getcwd()}
            pathlib.Path(".zfunc").mkdir()
            with process_of(["bash", "-ec", text], **variables) as process:
                assert process.wait(timeout=READY) == 0, text
        else:
            self.run_command(shlex.split(text))

    def run_command(self, words):
        """Runs a command; an error if it fails."""
        text = shlex.join(words)
        program, *rest = words
        served = next((name for name in SERVERS if text.startswith(name)), None)
        if program == "export":
            for word in rest:
                name, _, value = word.partition("=")
                self._patch.setenv(name, value)
        elif served:
            self._start_server(words, *SERVERS[served])
        elif text.startswith("kinetics-i3d watch"):
            self._watch(rest)
        elif text.startswith("kinetics-i3d scale") and "--address" in rest:
            run_on_ray(rest)
        elif text.startswith("kinetics-i3d scale"):  # the processes of Ray have no stand-ins
            subprocess.run([sys.executable, "-m", "kinetics_i3d", *rest], check=True)
        elif program == "kinetics-i3d" and "multiworker" in rest:
            run_by_hand(rest)
        elif program == "kinetics-i3d":
            self._run_verb(rest)
        elif program == "python":
            self._run_script(rest)
        elif text.startswith("docker compose") and rest[-1] == "up":
            folder = rest[rest.index("--project-directory") + 1]
            self._services = serve_compose(folder)
        elif text.startswith("make demo"):
            self._make_demo(rest)
        else:
            raise AssertionError(f"{text}: does not run; `RUN_ELSEWHERE` must say where it does")

    def _run_verb(self, words):
        from kinetics_i3d.cli.main import main

        code = main(words)
        assert code == 0, f"{shlex.join(words)}: exit code {code}"

    def _make_demo(self, words):
        """Runs the command of the package that the target runs in its environment."""
        recipe = subprocess.run(
            ["make", "--dry-run", "--always-make", "--directory", str(ROOT), *words],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        commands = [line for line in recipe.splitlines() if "/kinetics-i3d " in line]
        for command in commands:
            self._run_verb(shlex.split(command)[1:])
        assert commands, recipe

    def _run_script(self, words):
        """Runs a script of this project in this process, on the stand-ins."""
        script, *rest = words
        text = shlex.join(["python", *words])
        if self.page == "docs/examples.md":
            self._prepare_example(script)
        for name, (option, address, path) in CLIENTS.items():
            if text.startswith(name) and option not in rest:
                self._address(address)
                rest += [option, f"http://{address}{path}"]
        if "grpc" in rest:
            self._address("localhost:8500")
        rest = [self._with_addresses(word) for word in rest]
        self._patch.setattr(sys, "argv", [script, *rest])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise

    def _prepare_example(self, script):
        """Runs the commands by which the first lines of an example say to begin."""
        usage = ast.get_docstring(ast.parse(pathlib.Path(script).read_text(encoding="utf-8")))
        for line in re.findall(r"^ +(kinetics-i3d .*)$", usage, re.MULTILINE):
            self.run_command(shlex.split(line))

    def _with_addresses(self, text):
        for address, actual in self._addresses.items():
            text = text.replace(address, actual)
        return text

    def _address(self, address):
        """The address of the server that a page has at an address, which may start it."""
        if address not in self._addresses and address in self._services:
            server = self._services[address]()
            self._addresses[address] = self._stack.enter_context(server)
        return self._addresses[address]

    def _start_server(self, words, address, path):
        """Starts a server at a free port instead of that on the page, and waits for it."""
        port = free_ports(1)[0]
        program, *rest = words
        script = [RUNNER, *rest] if program == "kinetics-i3d" else rest
        process = self._stack.enter_context(
            process_of([sys.executable, *script, "--port", str(port)])
        )
        self._addresses[address] = f"127.0.0.1:{port}"
        url = f"http://127.0.0.1:{port}{path}"
        wait_until(lambda: answers(url), process, shlex.join(words))

    def _watch(self, words):
        """Watches a video in place of a camera, or over HTTP, until Ctrl-C after the first line."""
        from kinetics_i3d.cli import watch as verb

        serve = runpy.run_path(str(ROOT / "benchmarks" / "live_server.py"))["serve_in_real_time"]

        def interrupt(prediction):
            self._printed = prediction.to_dict()
            raise KeyboardInterrupt

        self._patch.setattr(verb, "_print_text", interrupt)
        self._patch.setattr(verb, "_print_json", interrupt)
        self._put_camera()
        with serve("VIDEO", seconds=3600) as address:
            self._run_verb([address if word.startswith("rtsp:") else word for word in words])

    def _put_camera(self):
        """Makes the first camera's driver read a video."""
        import av

        from kinetics_i3d.video import live

        camera, whole = "/dev/video0", av.open

        def open_camera(file, *arguments, **options):
            if file == camera:
                assert options.pop("format") == "v4l2"
                file = "VIDEO"
            return whole(file, *arguments, **options)

        check = live.check_source
        self._patch.setattr(live, "check_source", lambda source: source == "0" or check(source))
        self._patch.setattr(av, "open", open_camera)


class Patch:
    """The methods of pytest's `monkeypatch` that make stand-ins, without an end."""

    setattr = staticmethod(setattr)

    @staticmethod
    def setitem(mapping, key, value):
        """Sets an item."""
        mapping[key] = value


if __name__ == "__main__":
    from kinetics_i3d.cli.main import run

    localize_workers()
    put_small_networks(Patch)
    put_short_trainings(Patch)
    if pathlib.Path("inception5h.zip").exists():  # in the stage
        put_stand_ins(Patch, pathlib.Path.cwd())
    run()
