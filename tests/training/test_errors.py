"""Stop requests by SIGTERM."""

import signal
import threading

import pytest

from kinetics_i3d.training.errors import TrainingStopped, stop_on_sigterm, until_stopped


def test_sigterm_sets_the_stop_request_and_the_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm() as request:
        assert not request.stop_requested
        signal.raise_signal(signal.SIGTERM)
        assert request.stop_requested
    assert signal.getsignal(signal.SIGTERM) is before


def test_stop_on_sigterm_works_outside_the_main_thread():
    requests = []

    def run():
        with stop_on_sigterm() as request:
            requests.append(request)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not requests[0].stop_requested


def test_until_stopped_checks_before_the_first_and_after_each_batch():
    with stop_on_sigterm() as request:
        batches = until_stopped(range(3), request, "run", "computing features")
        assert next(batches) == 0
        request.request_stop()
        with pytest.raises(TrainingStopped, match="run: stopped while computing features; run the"):
            next(batches)
        with pytest.raises(TrainingStopped):
            next(until_stopped(range(3), request, "run", "computing features"))
    assert list(until_stopped(range(3), None, "run", "testing")) == [0, 1, 2]
