"""The page as programs meet it: its HTTP API, by the example that documents it."""

import concurrent.futures
import json
import pathlib
import runpy
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "ask_web_page.py"
CLIENT = runpy.run_path(str(SCRIPT))
pytestmark = pytest.mark.slow  # serves a page


def classify(server, path, weights="rgb_figures"):
    file = CLIENT["file_data"](CLIENT["upload"](server.address, path))
    return CLIENT["call"](server.address, "classify", file, weights)


def get(server, path):
    with urllib.request.urlopen(f"{server.address}{path}") as response:
        return response.read().decode(), response.headers


def test_the_example_prints_labels_and_segments(server, examples):
    words = [sys.executable, SCRIPT, examples["all four"], "--server", server.address]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 9 and done.stderr == ""
    assert [line.rpartition(": ")[2] for line in lines[5:]] == [
        "kick",
        "sit_down",
        "stand_up",
        "wave",
    ]
    words[2] = ROOT / "README.md"
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(f"{words[2]}: README.md: not a video")
    assert done.stderr.count("\n") == 1


def test_the_doctor_answers_programs(server, examples):
    file = CLIENT["file_data"](CLIENT["upload"](server.address, examples["wave"]))
    report = CLIENT["call"](server.address, "doctor", file, "rgb_figures")
    assert (report["name"], report["has_errors"]) == ("wave.mp4", False)
    assert {finding["topic"] for finding in report["findings"]} >= {"fps", "size", "length"}


def test_the_client_of_gradio_works_too(server, examples):
    gradio_client = pytest.importorskip("gradio_client")
    client = gradio_client.Client(server.address, verbose=False)
    video = gradio_client.handle_file(str(examples["wave"]))
    answer = client.predict(video=video, weights="rgb_figures", api_name="/classify")
    assert answer["predictions"][0]["label"] == "wave"


def test_two_people_at_once_get_their_own_answers(server, examples):
    names = ["kick", "sit down", "stand up", "wave"]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: classify(server, examples[name]), names))
    labels = [answer["predictions"][0]["label"].replace("_", " ") for answer in answers]
    assert labels == names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"no video\n" * 99, "text.mp4: not a video in a supported format"),
        ("empty.mp4", b"", "empty.mp4: the file is empty"),
    ],
)
def test_a_file_that_is_no_video_is_one_line(server, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RuntimeError) as caught:
        classify(server, tmp_path / name)
    text = str(caught.value)
    assert text.startswith(message) and "\n" not in text
    assert "/" not in text


def test_unknown_weights_and_no_video_are_one_line(server, examples):
    with pytest.raises(RuntimeError, match=r"^unknown weights 'nonsense'; the page offers rgb_fig"):
        classify(server, examples["wave"], "nonsense")
    with pytest.raises(RuntimeError, match=r"^Choose, record or upload a video first$"):
        CLIENT["call"](server.address, "classify", None, "rgb_figures")


def test_a_video_that_is_too_long_is_one_line(server, examples, tmp_path):
    import itertools

    import kinetics_i3d as ki3d

    frame = next(ki3d.read_frames(examples["wave"], short_side=48))
    ki3d.write_video(tmp_path / "long.mp4", itertools.repeat(frame, 210), fps=10)
    with pytest.raises(RuntimeError, match=r"^long.mp4: 21 s long; at most 20 s are allowed$"):
        classify(server, tmp_path / "long.mp4")


def test_an_announcement_of_four_gigabytes_is_refused_at_once(server, examples):
    address = urllib.parse.urlsplit(server.address)
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: page\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {4 * 2**30}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(60)
        connection.sendall(head.encode())
        answer = b""
        while part := connection.recv(4096):  # to the end of the connection
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"detail": "The file is too large: at most 2 MB are accepted"}')
    with pytest.raises(RuntimeError, match="at most 2 MB are accepted"):
        CLIENT["upload"](server.address, ROOT / "checkpoints" / "rgb_kinetics_jhmdb.h5")
    assert classify(server, examples["wave"])["predictions"]


def test_no_answer_names_a_path_of_the_server(server, examples, other_weights):
    path = CLIENT["upload"](server.address, examples["wave"])
    assert path.startswith("/uploads/")
    answers = [path, json.dumps(classify(server, examples["wave"], "other.h5"))]
    with pytest.raises(RuntimeError, match=r"^damaged.h5: ") as caught:
        classify(server, examples["wave"], "damaged.h5")
    answers.append(str(caught.value))
    for address in ("/", "/config", "/gradio_api/info", "/gradio_api/startup-events"):
        answers.append(get(server, address)[0])
    for answer in answers:
        assert str(server.temporary) not in answer and "kinetics_i3d-demo" not in answer
        assert str(other_weights.parent) not in answer and str(ROOT) not in answer


def test_files_are_served_from_the_uploads_alone(server, examples):
    path = CLIENT["upload"](server.address, examples["wave"])
    address = f"{server.address}/gradio_api/file="
    with urllib.request.urlopen(address + path) as response:
        assert response.read() == examples["wave"].read_bytes()
    outside = (ROOT / "README.md", "/etc/passwd", "/uploads/../../../etc/passwd", "README.md")
    for other in (*outside, "https://example.com/a.txt"):
        with pytest.raises(urllib.error.HTTPError, match=r"40[034]"):
            urllib.request.urlopen(f"{address}{other}")
    file = CLIENT["file_data"](str(ROOT / "examples" / "wave.mp4"))
    with pytest.raises(RuntimeError, match="must be given as the path that its upload returned"):
        CLIENT["call"](server.address, "classify", file, "rgb_figures")


def test_the_page_loads_nothing_from_other_servers(server):
    html, headers = get(server, "/")
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert '"analytics_enabled":false' in html.replace(" ", "")
    assert "fonts.googleapis.com" not in html and '<script src="http' not in html
    for address in ("/docs", "/redoc"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(server, address)


def test_ctrl_c_ends_it_in_one_line_and_removes_all_files(start_server, examples):
    with start_server("--weights", "rgb_figures") as running:
        CLIENT["upload"](running.address, examples["wave"])
        assert list(running.temporary.rglob("wave.mp4"))
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=120) == 0
        assert list(running.temporary.iterdir()) == []
        errors = running.temporary.parent / f"{running.temporary.name}.err"
        assert errors.read_text() == "stopped\n"
