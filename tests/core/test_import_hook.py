"""`after_import` waits for a module without importing it."""

import importlib
import importlib.util
import sys

import pytest

from kinetics_i3d.core.import_hook import after_import


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that can be imported and has not been."""
    name = "imported_by_a_test"
    (tmp_path / f"{name}.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield name
    sys.modules.pop(name, None)


def test_an_action_runs_once_after_the_module_has_run(module):
    seen = []
    after_import(module, lambda: seen.append(sys.modules[module].value))
    importlib.util.find_spec(module)
    assert module not in sys.modules and seen == []
    importlib.import_module(module)
    importlib.reload(sys.modules[module])
    assert seen == [1]


def test_an_imported_module_is_not_waited_for():
    seen = []
    after_import("sys", lambda: seen.append("at once"))
    assert seen == ["at once"]


def test_several_actions_may_wait_for_one_module(module):
    seen = []
    for number in range(2):
        after_import(module, lambda number=number: seen.append(number))
    importlib.import_module(module)
    assert sorted(seen) == [0, 1]


def test_a_missing_module_is_missing_as_before(module):
    after_import("no_such_module_at_all", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_at_all")
