"""Settings: every field that differs is named, and nothing else."""

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.settings import check_settings, setting_differences


def test_differences_are_named_and_long_values_left_out():
    recorded = {"a": {"b": 1, "c": None}, "d": ["x" * 150]}
    assert setting_differences(recorded, recorded) == {}
    assert setting_differences(recorded, {"a": {"b": 1, "c": 2}, "d": []}) == {
        "a.c": "a.c is null, requested is 2",
        "d": "d differs",
    }


def test_a_field_that_one_side_lacks_is_null_and_numbers_are_compared_by_value():
    assert setting_differences({"fps": 25}, {"fps": 25.0, "seed": None}) == {}
    assert list(setting_differences({"fps": 25}, {"seed": 0})) == ["fps", "seed"]


def test_other_settings_are_refused_in_one_line_with_advice():
    check_settings({"fps": 25}, {"fps": 25}, path="a", advice="none")
    with pytest.raises(DatasetError) as raised:
        check_settings(
            {"fps": 25, "size": "small", "seed": 0},
            {"fps": 10, "size": "large", "seed": 0},
            path="clips",
            advice="choose another folder",
            error=DatasetError,
        )
    assert str(raised.value) == (
        'clips: made with other settings: fps is 25, requested is 10; size is "small", '
        'requested is "large"; choose another folder'
    )
