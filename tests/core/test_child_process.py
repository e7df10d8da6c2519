"""Work in a child process: its results, and its ends by every limit."""

import contextlib
import fractions
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import child_functions
import pytest
from absl import logging

from kinetics_i3d.core import errors
from kinetics_i3d.core.child_process import ChildError, call_in_child, stream_in_child
from kinetics_i3d.core.child_worker import AHEAD

LIMITS = {"seconds": 60, "memory": 2**28}


def call(name, *arguments, **limits):
    return call_in_child(f"{child_functions.__name__}:{name}", *arguments, **{**LIMITS, **limits})


def stream(name, *arguments, **limits):
    function = f"{child_functions.__name__}:{name}"
    return stream_in_child(function, *arguments, **{**LIMITS, **limits})


def test_values_and_arrays_return_as_they_were():
    values = (None, True, 2**60, 0.1, float("inf"), "ä\udce9", [1, (2,)], {"a": (1, 2.5)})
    assert call("echo", *values) == values
    exact = call("echo", fractions.Fraction(1, 3), -0.0)
    assert exact == (fractions.Fraction(1, 3), 0) and isinstance(exact[0], fractions.Fraction)
    rows = list(stream("numbers", 30))
    assert [time for time, _ in rows] == [fractions.Fraction(n, 2) for n in range(30)]
    assert all((array == n).all() for n, (_, array) in enumerate(rows))
    rows[0][1][:] = 7  # its own memory, which may be written
    assert rows[1][1].max() == 1


def test_one_child_does_one_call_after_another():
    first = call("process_id")
    assert first != os.getpid()
    for _ in range(3):
        with contextlib.closing(stream("numbers", 1000)) as numbers:
            assert len(list(itertools.islice(numbers, 5))) == 5
        assert call("process_id") == first
    with pytest.raises(errors.VideoError):
        call("fail", "video")
    assert call("process_id") == first


def test_a_child_computes_a_few_items_in_advance(tmp_path):
    path = tmp_path / "number.txt"
    with contextlib.closing(stream("counted", str(path))) as numbers:
        assert list(itertools.islice(numbers, 40)) == list(range(40))
        time.sleep(0.3)
        assert int(path.read_text()) <= 40 + AHEAD


def test_calls_at_the_same_time_have_a_child_each():
    with contextlib.closing(stream("numbers", 100)) as one:
        next(one)
        with contextlib.closing(stream("numbers", 100)) as two:
            assert [next(two)[0] for _ in range(60)][-1] == 29.5
        assert next(one)[0] == 0.5


@pytest.mark.parametrize(
    ("name", "limits", "reason"),
    [
        ("hang", {"seconds": 0.5}, r"took more than 0\.5 seconds"),
        ("abort", {}, r"crashed \(SIGABRT\)"),
        ("leave", {}, r"ended its process with exit code 3"),
        pytest.param(
            *("bloat", {}, "needs more than 256 MiB of memory"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux limits memory"),
        ),
    ],
)
def test_a_hostile_call_costs_its_child_and_nothing_else(name, limits, reason):
    before = call("process_id")
    with pytest.raises(ChildError, match=f"^{reason}$"):
        call(name, **limits)
    after = call("process_id")
    assert after != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux limits memory")
def test_memory_is_short_from_half_of_the_limit():
    assert call("is_short_of_memory", 2**26) is False
    assert call("is_short_of_memory", 2**27 + 2**25) is True
    assert call("is_short_of_memory", 2**26) is False


def test_a_killed_child_is_replaced():
    numbers = stream("numbers", 10**6)
    next(numbers)
    child = call("process_id")  # a second one, idle again
    os.kill(child, signal.SIGKILL)
    assert call("process_id") != child
    numbers.close()


def test_a_child_that_is_killed_in_the_middle_is_reported():
    first = call("process_id")
    numbers = stream("numbers", 10**6)
    next(numbers)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ChildError, match=r"^crashed \(SIGKILL\)$"):
        list(numbers)


@pytest.mark.slow
def test_the_time_of_the_caller_does_not_count():
    numbers = stream("numbers", 20, seconds=1)
    for _ in zip(range(3), numbers, strict=False):
        time.sleep(0.6)
    assert len(list(numbers)) == 17


@pytest.mark.slow
def test_the_clock_starts_again_with_every_so_many_items():
    assert len(list(stream("numbers", 6, 0.3, seconds=1, items=1))) == 6
    with pytest.raises(ChildError, match="took more than 1 seconds"):
        list(stream("numbers", 12, 0.3, seconds=1, items=100))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("video", errors.VideoError),
        ("data", errors.DatasetError),
        ("other", errors.VideoError),  # the nearest that the parent knows
    ],
)
def test_errors_of_users_have_their_class(name, kind):
    with pytest.raises(errors.UserError, match=r"^why$") as raised:
        call("fail", name)
    assert type(raised.value) is kind


def test_other_errors():
    with pytest.raises(ValueError, match=r"^`count` is over$"):
        list(stream("fail_after", 3))
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*KeyError: 'none'"):
        call("fail", "none")
    with pytest.raises(RuntimeError, match="a set cannot be sent"):
        call("unknown_type")
    with pytest.raises(TypeError, match="a set cannot be sent"):
        call("echo", {1})


def test_warnings_are_logged_here_and_prints_disturb_nothing(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: lines.append(text % args))
    assert call("print_and_warn") == 1
    assert lines == ["a.mp4 is damaged"]


def test_variables_and_the_working_directory(tmp_path, monkeypatch):
    call("process_id")
    monkeypatch.chdir(tmp_path)
    assert call("current_state", "KI_TEST", variables={"KI_TEST": "5"}) == ("5", str(tmp_path))
    assert call("current_state", "KI_TEST", variables={"KI_TEST": None})[0] is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_end_with_a_parent_that_is_killed():
    code = (
        "from kinetics_i3d.core.child_process import call_in_child as call\n"
        "print(call('os:getpid', seconds=60, memory=2**30), flush=True)\n"
        "call('time:sleep', 1000, seconds=1000, memory=2**30)\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )
    child = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        try:
            with open(f"/proc/{child}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":  # nobody waits for it
                    return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    raise AssertionError("the child is still there")


def test_threads_may_share_children():
    results, threads = [], []
    for _ in range(4):
        threads.append(
            threading.Thread(target=lambda: results.append(len(list(stream("numbers", 50)))))
        )
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert results == [50] * 4
