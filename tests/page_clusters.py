"""Runs what the pages of the documentation say of several machines on this one."""

import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import sys

from doc_pages import ROOT
from page_servers import free_ports, is_open, process_of, serve_s3, start_ray, stop

RUNNER = str(ROOT / "tests" / "page_runner.py")
PROGRAMS = ROOT / "tests" / "page_programs"  # first on the path of scripts
SLURM = "#!/bin/bash"  # with which the scripts of Slurm begin
HOSTS = ("127.0.0.1", "127.0.0.2")  # of a job of Slurm


def run_workers(words, variables):
    """Runs a command in a process for each {variable: value}; an error if one fails."""
    words = [_here(word) for word in words]
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(process_of(words, **row)) for row in variables]
        for process in processes:
            assert process.wait(timeout=600) == 0, shlex.join(words)


def run_by_hand(words):
    """Runs a command of `kinetics-i3d` on each of the machines of `TF_CONFIG`."""
    config = json.loads(os.environ["TF_CONFIG"])
    count = len(config["cluster"]["worker"])
    shared = script_variables(RUNNER, workers=count)
    rows = []
    for index in range(count):
        config["task"]["index"] = index
        rows.append({**shared, "TF_CONFIG": json.dumps(config)})
    run_workers([sys.executable, RUNNER, *words], rows)


def run_manifest(text):
    """Runs what a manifest has Kubernetes run: an indexed Job, or a RayJob."""
    import yaml

    manifest = yaml.safe_load(text)
    spec = manifest["spec"]
    if manifest["kind"] == "RayJob":
        program, *words = shlex.split(spec["entrypoint"])
        assert program == "kinetics-i3d"
        run_on_ray(words)
        return
    assert manifest["kind"] == "Job" and spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"]
    (container,) = spec["template"]["spec"]["containers"]
    shared = script_variables(RUNNER, workers=spec["completions"])
    rows = [{**shared, "JOB_COMPLETION_INDEX": str(index)} for index in range(spec["completions"])]
    run_workers([*container["command"], *container["args"]], rows)


def run_on_ray(words):
    """Runs `kinetics-i3d scale` on a cluster of one node, with the folder `bucket` on S3."""
    with contextlib.ExitStack() as stack:
        address, variables = stack.enter_context(serve_s3("bucket", "bucket"))
        variables["AWS_ENDPOINT_URL"] = f"http://{address}"
        stack.enter_context(start_ray(**variables))
        run_workers([sys.executable, "-m", "kinetics_i3d", *words], [variables])


def run_slurm(text):
    """Runs a script of Slurm as a job on two nodes of one processor each."""
    verb = re.search(r"kinetics-i3d (\w+)", text)[1]
    # The processes of Ray have no stand-ins.
    program = "-m kinetics_i3d" if verb == "scale" else RUNNER
    job = random.randrange(10_000)
    while is_open(20_000 + job):  # the port of Ray's head node
        job = random.randrange(10_000)
    variables = {
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_JOB_ID": str(job),
        "SLURM_JOB_NODELIST": ",".join(HOSTS),
        "SLURM_JOB_NUM_NODES": str(len(HOSTS)),
    }
    script = pathlib.Path("job.sh")
    script.write_text(_here(text))
    shared = script_variables(program, workers=len(HOSTS))
    with process_of(["bash", str(script)], **shared, **variables) as process:
        code = process.wait(timeout=900)
        stop(process, signal.SIGTERM)  # Slurm ends what a job leaves behind
    assert code == 0, f"the script ends with exit code {code}"


def localize_workers():
    """Gives the workers of `TF_CONFIG` the ports of this machine in `PAGE_PORTS`, if it is set."""
    if "PAGE_PORTS" in os.environ:
        config = json.loads(os.environ["TF_CONFIG"])
        ports = os.environ["PAGE_PORTS"].split(",")
        assert len(config["cluster"]["worker"]) == len(ports)
        config["cluster"]["worker"] = [f"127.0.0.1:{port}" for port in ports]
        os.environ["TF_CONFIG"] = json.dumps(config)


def script_variables(program, *, workers=1):
    """The variables of a new cluster, on which Python with these arguments is `kinetics-i3d`."""
    shutil.rmtree("shared/run", ignore_errors=True)  # it belongs to the cluster before
    folders = [str(PROGRAMS), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(folders),
        "PAGE_PYTHON": sys.executable,
        "PAGE_ARGUMENTS": program,
        "PAGE_PORTS": ",".join(map(str, free_ports(workers))),
    }


def _here(text):
    """The text with the shared folder of a cluster inside the current one."""
    return text.replace("/shared/", f"{os.getcwd()}/shared/")
