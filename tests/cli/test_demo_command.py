"""`kinetics-i3d demo`: what is refused before the page is served; tests/app serves it."""

import socket
import sys

import pytest


@pytest.fixture
def gradio(monkeypatch):
    """Makes Gradio look installed: it is imported before the weights are looked at."""
    monkeypatch.setattr("kinetics_i3d.app.server.load_gradio", lambda: None)


def test_a_missing_gradio_is_one_line(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    code, out, err = command("demo", "--port", "0")
    assert (code, out) == (2, "")
    assert err == 'kinetics-i3d: error: The page needs Gradio: pip install "kinetics-i3d[demo]"\n'


def test_unknown_weights_are_one_line(command, gradio):
    code, out, err = command("demo", "--port", "0", "--weights", "rgb_figure")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "unknown weights 'rgb_figure'" in err


def test_a_port_in_use_is_one_line(command, gradio):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, _, err = command("demo", "--port", port)
    assert code == 2
    expected = f"cannot listen on 127.0.0.1, port {port}: Address already in use"
    assert err == f"kinetics-i3d: error: {expected}\n"


def test_an_address_of_no_machine_is_one_line(command, gradio):
    code, _, err = command("demo", "--host", "999.1.1.1")
    assert code == 2 and err.startswith(
        "kinetics-i3d: error: cannot listen on 999.1.1.1, port 7860"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "70000", "must be 0 to 65535, not 70000"),
        ("--max-size", "0", "must be above 0, not 0"),
        ("--max-seconds", "nan", "must be above 0, not nan"),
        ("--max-queue", "0", "must be 1 or more, not 0"),
    ],
)
def test_options_out_of_range_are_refused(command, option, value, message):
    code, _, err = command("demo", option, value)
    assert code == 2 and message in err


def test_the_help_says_what_listening_on_all_interfaces_means(capsys):
    from kinetics_i3d.cli.main import main

    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "only programs on this machine can reach the page" in text
    assert "anyone who can reach this machine can then use it, without a password" in text
