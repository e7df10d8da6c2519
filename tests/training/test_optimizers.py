"""Learning rate schedules against rates computed by hand, and plateaus."""

import numpy as np
import pytest

from kinetics_i3d.training.optimizers import SCHEDULES, Plateau


@pytest.mark.parametrize(
    ("name", "steps", "expected"),
    [
        ("constant", 100, {0: 1, 99: 1}),
        ("release_rgb", 115_000, {0: 1, 96_999: 1, 97_000: 0.1, 107_999: 0.1, 108_000: 0.01}),
        ("release_rgb", 230, {193: 1, 194: 0.1, 215: 0.1, 216: 0.01, 229: 0.01}),
        (
            "release_flow",
            155_000,
            {
                96_999: 1,
                97_000: 0.1,
                104_499: 0.1,
                104_500: 0.01,
                114_999: 0.01,
                115_000: 1,
                139_999: 1,
                140_000: 0.1,
                150_000: 0.01,
            },
        ),
        ("paper", 110_000, {0: 1, 109_999: 1}),  # it falls when the validation says so
        ("plateau", 100, {0: 1, 99: 1}),
        ("cosine", 100, {0: 1, 25: (2 + 2**0.5) / 4, 50: 0.5, 75: (2 - 2**0.5) / 4}),
    ],
)
def test_schedule_rates_match_rates_computed_by_hand(name, steps, expected):
    row = SCHEDULES[name]
    assert {step: row.rate(step, steps=steps) for step in expected} == pytest.approx(expected)


def test_warmup_is_linear_and_cosine_starts_after_it():
    rates = [SCHEDULES["cosine"].rate(step, steps=50, warmup=10) for step in range(51)]
    np.testing.assert_allclose(rates[:11], np.linspace(0, 1, 11), atol=1e-12)
    turn = np.arange(41) / 40 * np.pi
    np.testing.assert_allclose(rates[10:], (1 + np.cos(turn)) / 2, atol=1e-12)
    assert SCHEDULES["release_rgb"].rate(3, steps=115, warmup=6) == 0.5


def test_reference_lengths_of_the_released_runs():
    assert SCHEDULES["release_rgb"].reference == 115_000
    assert SCHEDULES["release_flow"].reference == 155_000
    assert SCHEDULES["paper"].plateau and SCHEDULES["plateau"].plateau


def test_plateau_cuts_tenfold_and_restarts_its_count():
    plateau = Plateau(patience=2, least=0.01)
    losses = (2.0, 1.0, 0.995, 1.2, 1.1, 0.98, 1.0, 1.0, 0.5, 0.6, 0.6)
    factors = [plateau.update(loss) for loss in losses]
    # 0.995 is no hundredth better; 0.98 is, and so is 0.5.
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    assert plateau.best == 0.5
