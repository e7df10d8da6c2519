"""The weights that the page offers."""

import pytest

from kinetics_i3d.app.networks import SHIPPED, Networks
from kinetics_i3d.core.errors import UserError, WeightsError


def test_weights_are_chosen_by_name_and_paths_without_folders(tmp_path):
    path = tmp_path / "mine.h5"
    path.touch()
    networks = Networks(["rgb_figures", str(path), "kinetics_jhmdb"])
    assert networks.names == ["rgb_figures", "mine.h5", "kinetics_jhmdb"]
    assert networks.weights("mine.h5") == str(path)
    assert networks.rgb_weights("kinetics_jhmdb") == "rgb_kinetics_jhmdb"
    assert networks.rgb_weights("rgb_figures") == "rgb_figures"
    with pytest.raises(UserError, match="'/etc/passwd'; the page offers rgb_figures,"):
        networks.weights("/etc/passwd")
    with pytest.raises(UserError, match=r"unknown weights \[\[1\], {}\]; the page offers"):
        networks.weights([[1], {}])  # as a request may name them


@pytest.mark.slow
def test_a_network_is_loaded_once():
    networks = Networks(["rgb_figures"])
    assert networks.load("rgb_figures") is networks.load("rgb_figures")


def test_weights_with_the_same_file_name_are_distinguished_by_their_folders(tmp_path):
    paths = [tmp_path / name / "weights.h5" for name in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    networks = Networks(["rgb_figures", *map(str, paths)])
    assert networks.names == ["rgb_figures", "one/weights.h5", "two/weights.h5"]
    assert networks.weights("two/weights.h5") == str(paths[1])
    with pytest.raises(UserError, match="--weights must not repeat a name"):
        Networks([str(paths[0]), f"{paths[0].parent}/./weights.h5"])


def test_unknown_weights_are_reported():
    with pytest.raises(WeightsError, match="did you mean rgb_figures"):
        Networks(["rgb_figure"])


def test_a_default_that_cannot_be_had_is_left_out_with_a_warning(monkeypatch, caplog):
    from kinetics_i3d.app import networks as module

    def fetch(name, **options):
        if name == "rgb_kinetics400":
            raise WeightsError("rgb_kinetics400: cannot be downloaded")

    monkeypatch.setattr(module, "fetch_weights", fetch)
    assert Networks().names == list(SHIPPED)
    assert (
        "rgb_kinetics400: cannot be downloaded; the page offers rgb_kinetics_jhmdb" in caplog.text
    )
    with pytest.raises(WeightsError):
        Networks(["rgb_kinetics400"])


def test_the_default_comes_first_where_it_is_there(monkeypatch):
    monkeypatch.setattr("kinetics_i3d.app.networks.fetch_weights", lambda *_, **__: None)
    assert Networks().names == ["rgb_kinetics400", *SHIPPED]
