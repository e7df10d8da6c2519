"""`Cluster`: what is wrong with it is one line, before Ray is loaded."""

import signal
import socket
import sys
import types

import numpy as np
import pytest

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.scale import cluster as module
from kinetics_i3d.scale import storage
from kinetics_i3d.scale.cluster import Cluster


@pytest.fixture
def installed(monkeypatch):
    """As if the packages of the extra were installed."""
    monkeypatch.setattr(module, "require", lambda *packages: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_an_address_that_does_not_answer_is_one_line(installed, monkeypatch):
    address = f"127.0.0.1:{closed_port()}"
    message = rf"--address {address}: no cluster answers \(Connection refused\)"
    with pytest.raises(UserError, match=message), Cluster(address).connected():
        pass
    monkeypatch.setenv("RAY_ADDRESS", address)
    message = message.replace("--address", "RAY_ADDRESS")
    with pytest.raises(UserError, match=message), Cluster().connected():
        pass


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port"])
def test_an_address_that_is_none_is_one_line(installed, address):
    message = f"--address must be HOST:PORT or auto. Received: {address}"
    with pytest.raises(UserError) as caught, Cluster(address).connected():
        pass
    assert str(caught.value) == message


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(storage.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs ray and pyarrow: pip install 'kinetics-i3d\[scale"):
        storage.require("ray", "pyarrow")


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"networks": 0}, "networks"), ({"cpus": 0}, "cpus"), ({"gpus": -1}, "gpus")],
)
def test_numbers_out_of_range_are_refused(fields, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Cluster(**fields)


def test_numbers_of_numpy_are_accepted():
    assert Cluster(networks=np.int64(2)) == Cluster(networks=2)


@pytest.fixture
def ray(installed, monkeypatch):
    """A stand-in for Ray that counts its ends."""
    ray = types.SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **options: None,
        cluster_resources=lambda: {"CPU": 8},
        shutdown=lambda: ray.ended.append(True),
        data=types.ModuleType("ray.data"),
        ended=[],
    )
    context = types.SimpleNamespace(enable_progress_bars=True)
    ray.data.DataContext = types.SimpleNamespace(get_current=lambda: context)
    ray.data.TaskPoolStrategy = ray.data.ActorPoolStrategy = dict
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ray.data)
    return ray


def test_what_ray_prints_is_kept_out_of_the_results(ray, capsys):
    with Cluster().connected() as connected:
        assert connected is ray and not ray.ended
        print("(raylet) a worker died")
    print("the results")
    context = ray.data.DataContext.get_current()
    assert ray.ended == [True] and not context.enable_progress_bars
    out, err = capsys.readouterr()
    assert (out, err) == ("the results\n", "(raylet) a worker died\n")


def test_more_gpus_than_there_are_is_one_line(ray):
    message = "scale needs 1 GPUs for a network; the cluster has 0"
    with pytest.raises(UserError, match=message), Cluster(gpus=1).connected():
        pass
    assert ray.ended == [True]


def test_too_few_processors_are_one_line(ray):
    ray.cluster_resources = lambda: {"CPU": 4}
    message = "scale needs 5 processors, including 4 for a network; the cluster has 4"
    with pytest.raises(UserError, match=f"^{message}$"), Cluster(cpus=4).connected():
        pass
    with Cluster(cpus=4).connected(has_network=False), Cluster(cpus=3).connected():
        pass


@pytest.mark.parametrize(
    ("fields", "resources", "reading", "network", "networks"),
    [
        # Without GPUs, reading reserves no processor, and networks leave one of them.
        ({}, {"CPU": 8}, (0, 7), (1, 0), 7),
        ({"cpus": 3}, {"CPU": 8}, (0, 5), (3, 0), 2),
        ({"cpus": 4}, {"CPU": 4}, (0, 1), (4, 0), 1),
        ({"networks": 2}, {"CPU": 8}, (0, 7), (1, 0), 2),
        ({"gpus": 0}, {"CPU": 8, "GPU": 2}, (0, 7), (1, 0), 7),
        # With GPUs, these limit the networks.
        ({}, {"CPU": 8, "GPU": 2}, (1, None), (0, 1), 2),
        ({"gpus": 0.5}, {"CPU": 8, "GPU": 2}, (1, None), (0, 0.5), 4),
        ({"gpus": 2, "networks": 3}, {"CPU": 8, "GPU": 4}, (1, None), (0, 2), 3),
    ],
)
def test_numbers_of_networks_and_readers(ray, fields, resources, reading, network, networks):
    ray.cluster_resources = lambda: resources
    cluster = Cluster(**fields)
    options = cluster.reading_options(ray)
    assert (options["num_cpus"], options.get("compute", {}).get("size")) == reading
    options = cluster.network_options(ray)
    assert (options["num_cpus"], options["num_gpus"]) == network
    assert (options["compute"]["min_size"], options["compute"]["max_size"]) == (1, networks)


def test_a_handler_that_python_has_not_set_is_left_alone(ray, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    with Cluster().connected():
        pass


def test_sigterm_stays_as_it_was(ray):
    before = signal.getsignal(signal.SIGTERM)
    ray.init = lambda **options: signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
    try:
        with Cluster().connected():
            assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, before)
