"""Writes the table of a measurement with the machine and the versions that it was made with."""

import importlib.metadata
import json
import os
import pathlib
import platform

RESULTS = pathlib.Path(__file__).parent / "results"
PACKAGES = ("kinetics-i3d", "tensorflow", "keras", "numpy", "av")


def machine():
    """Processor, cores and versions as a JSON-ready dictionary."""
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = dict(
            (part.strip() for part in line.split(":", 1))
            for line in cpuinfo.read_text().splitlines()
            if ":" in line
        )
        model = lines.get("model name", model)
        if "amx_bf16" in lines.get("flags", ""):
            model += " (AMX bf16)"
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }


def table(rows):
    """A Markdown table of dictionaries with the same keys."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[key]) for key in head] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def publish(name, title, command, rows, *, notes="", data=None):
    """Prints a table and writes `results/<name>.md`, with `results/<name>.json` for `data`."""
    environment = "\n".join(f"- {key}: {value}" for key, value in machine().items())
    text = f"# {title}\n\n{table(rows)}\n\n{notes}\n\nMade by `{command}` with\n\n{environment}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    if data is not None:
        (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(text)
