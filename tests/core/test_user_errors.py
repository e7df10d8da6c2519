"""Errors of other libraries, as they stand in those of the package."""

import zipfile

from kinetics_i3d.core.errors import first_line


def test_the_first_line_of_an_error_is_short():
    assert first_line(ValueError("a\nb")) == "a"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(zipfile.BadZipFile("x" * 70_000)) == "x" * 300 + "..."
