"""Throughput of a run and the time left; what else a loop does is tested by whole runs."""

from kinetics_i3d.training.loop import Throughput


def make(*times):
    ticks = iter(times)
    return Throughput(clock=lambda: next(ticks))


def test_throughput_divides_the_time_into_waiting_and_steps():
    throughput = make(0.0, 1.0, 4.0)
    assert throughput.rates() == {}
    throughput.batch_arrived()
    throughput.step_done(8)
    expected = {"steps_per_second": 0.25, "clips_per_second": 2.0, "waiting": 0.25}
    assert throughput.rates() == expected


def test_time_left_does_not_count_the_first_step():
    # The first step takes 100 seconds, those after it 2; another epoch starts after the third.
    throughput = make(0.0, 10.0, 100.0, 101.0, 102.0, 103.0, 104.0, 110.0, 111.0, 112.0)
    throughput.batch_arrived()
    throughput.step_done(8)
    assert throughput.seconds_left(50) is None
    assert throughput.line(50) == "0.01 steps/s, 0.1 clips/s, 10 % waiting for clips"
    for _ in range(2):
        throughput.batch_arrived()
        throughput.step_done(8)
    assert throughput.seconds_left(50) == 100.0
    assert throughput.line(50).endswith("waiting for clips, 1:40 left")
    throughput.restart()
    throughput.batch_arrived()
    throughput.step_done(8)
    assert throughput.seconds_left(50) == 100.0


def test_skipped_time_does_not_count():
    throughput = make(0.0, 1.0, 2.0, 50.0, 51.0, 52.0)
    throughput.batch_arrived()
    throughput.step_done(4)
    throughput.skip()
    throughput.batch_arrived()
    throughput.step_done(4)
    assert throughput.rates()["steps_per_second"] == 0.5
