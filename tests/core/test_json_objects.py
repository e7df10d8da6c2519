"""JSON of others: objects with fields of known kinds, and nothing else."""

import pytest

from kinetics_i3d.core.json_objects import check_fields, parse_object


def test_objects_are_parsed():
    assert parse_object('{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("text", ["5", "null", '"a"', "[1]", "", "{", "[" * 100_000, b"\xff"])
def test_anything_else_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json's own messages among them
        parse_object(text)


def test_kinds_of_fields_are_checked():
    kinds = {"size": int, "rate": float, "name": (str, type(None))}
    check_fields("x", {"size": 1, "rate": 2, "name": None}, kinds)
    for wrong in (
        {"size": 1.0, "rate": 2, "name": "a"},
        {"size": True, "rate": 2, "name": "a"},
        {"size": 1, "rate": "2", "name": "a"},
        {"size": 1, "rate": 2, "name": []},
        {"size": 1, "rate": 2},
        {"size": 1, "rate": 2, "name": "a", "more": 1},
        [],
    ):
        with pytest.raises(ValueError, match="`x` must have"):
            check_fields("x", wrong, kinds)
