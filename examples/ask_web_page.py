"""Asks the page of `kinetics-i3d demo` for the action in a video, over its HTTP API.

    kinetics-i3d demo --weights rgb_figures
    python examples/ask_web_page.py examples/wave.mp4

It needs nothing but Python: a file is uploaded, its path goes into a request, and the answer comes
as a stream of events. `pip install gradio_client` is a shorter way to the same.
"""

import argparse
import json
import pathlib
import urllib.error
import urllib.request
import uuid

API = "/gradio_api"


def upload(server, path):
    """Uploads a file; returns the path that requests name it by."""
    path, border = pathlib.Path(path), uuid.uuid4().hex
    head = (
        f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + path.read_bytes() + f"\r\n--{border}--\r\n".encode()
    kind = f"multipart/form-data; boundary={border}"
    with post(f"{server}{API}/upload", body, kind) as response:
        return json.load(response)[0]


def call(server, endpoint, *arguments):
    """Calls an endpoint and waits for its answer; `RuntimeError` with the page's own line."""
    body = json.dumps({"data": arguments}).encode()
    with post(f"{server}{API}/call/{endpoint}", body, "application/json") as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{server}{API}/call/{endpoint}/{event}") as events:
        name = ""
        for line in events:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name == "complete":
                return json.loads(value)[0]
            elif field == "data" and name == "error":
                reason = json.loads(value) or {}
                raise RuntimeError(reason.get("error") or "the page could not answer")
    raise RuntimeError("the page closed the connection")


def post(address, body, kind):
    """The response to a POST; `RuntimeError` with the reason of a refusal."""
    request = urllib.request.Request(address, body, {"Content-Type": kind})
    try:
        return urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)["detail"]) from error


def file_data(path):
    """An uploaded file as an argument of a call."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video")
    parser.add_argument(
        "--weights", default="rgb_figures", help="one of those that the page offers"
    )
    parser.add_argument("--server", default="http://127.0.0.1:7860")
    options = parser.parse_args()
    try:
        video = file_data(upload(options.server, options.video))
        answer = call(options.server, "classify", video, options.weights)
    except (OSError, RuntimeError) as error:
        raise SystemExit(f"{options.video}: {error}") from None
    for row in answer["predictions"]:
        print(f"{100 * row['probability']:6.2f} %  {row['label']}")
    for row in answer["segments"]:
        print(f"{row['start']:.2f} to {row['end']:.2f} s: {row['label']}")
