"""`FlowSettings`: JSON, defaults, and what is refused."""

import json

import numpy as np
import pytest

from kinetics_i3d.flow.settings import TVL1, FlowSettings

SETTINGS = [
    FlowSettings(),
    FlowSettings(parameters=TVL1(lam=0.05, median=False), backend="tensorflow", bound=10),
    FlowSettings("dis", backend="opencv", rounding="truncate"),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_survive_json(settings):
    fields = json.loads(json.dumps(settings.to_dict()))
    assert sorted(fields) == ["backend", "bound", "method", "parameters", "rounding"]
    assert FlowSettings.from_dict(fields) == settings


def test_settings_default_to_the_release_s():
    assert FlowSettings.from_dict({}) == FlowSettings() == FlowSettings(parameters=TVL1(), bound=20)
    assert FlowSettings().parameters == TVL1() and FlowSettings("farneback").parameters is None
    with pytest.raises(TypeError, match="color"):
        FlowSettings.from_dict({"color": 1})
    assert FlowSettings(bound=10, rounding="truncate").quantize([0.0, 5.0]).tolist() == [127, 191]
    assert FlowSettings().quantize([0.0, 5.0]).tolist() == [128, 159]


WRONG = [
    ({"method": "lk"}, r"`method` must be one of \('tvl1', 'dis', 'farneback'\). Received: method"),
    ({"method": "dis", "parameters": TVL1()}, r"`parameters` must be None for method='dis'. Rec"),
    ({"parameters": {"lam": 1}}, r"`parameters` must be a TVL1 for method='tvl1'. Received: param"),
    ({"backend": "cuda"}, r"`backend` must be None or one of \('numba', .*backend='cuda'"),
    ({"method": "dis", "backend": "numba"}, r"`backend` must be None or one of \('opencv',\)"),
    *(
        ({"bound": b}, "`bound` must be a number of pixels above 0. Rec")
        for b in (0, -1, np.inf, "20", True)
    ),
    ({"rounding": "floor"}, r"`rounding` must be one of \('round', 'truncate'\). Received: round"),
]


@pytest.mark.parametrize(("fields", "why"), WRONG)
def test_wrong_settings_are_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        FlowSettings(**fields)


def test_numbers_of_numpy_become_those_of_python():
    """Which JSON can hold: the settings are written after the flow."""
    parameters = TVL1(tau=np.float32(0.25), warps=np.int64(2), scale_step=np.float64(0.5))
    settings = FlowSettings(parameters=parameters, bound=np.int64(10))
    assert FlowSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(ValueError, match="`warps` must be a whole number above 0"):
        TVL1(warps=True)
    with pytest.raises(ValueError, match=r"`tau` must be a number above 0. Received: tau='1'"):
        TVL1(tau="1")
