"""`floss bench`: the peer computes what we compute, and the table has what it says."""

import json
import math
import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from command import floss, rows

from floss.bench import command, spectrum
from floss.bench.command import Contender, contenders, flop, gradient_difference, measure, peak_megabytes
from floss.config import BenchJob
from floss.keys import ConfigError, build

COLUMNS = "device,engine,loop,n,k,t,batch,networks,ms_per_network_epoch,spread,share_of_matmul_rate,peak_mb"
SIZES = {"n": 8, "k": 4, "steps": 20, "flossing_steps": 25, "batch": 2}
SPECTRUM = {"spectrum_sizes": ((6, 6), (8, 3)), "spectrum_steps": 30, "spectrum_networks": (1, 2)}


@pytest.fixture(autouse=True)
def one_thread():
    """More only wait for each other at these sizes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_peers(monkeypatch):
    """As where clvlib and lyapax are not installed."""
    for packages in spectrum.PEERS.values():
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)


def bench(folder: object = "nowhere", **different: Any) -> BenchJob:
    keys: dict[str, Any] = {"networks": (1, 3), "repeats": 3, "seconds": 1e-3, "device": "cpu", "results": str(folder)}
    keys |= SIZES | SPECTRUM | different
    return BenchJob(**keys)


@pytest.mark.parametrize(
    "different", [{}, {"k": 8}, {"k": 1}, {"batch": 1}, {"steps": 45}, {"n": 80, "k": 75, "steps": 60}]
)
def test_the_peer_computes_our_gradients(different):
    for loop, difference in gradient_difference(bench(**different), "cpu").items():
        assert difference < 1e-9, loop


@pytest.mark.parametrize("loop", ["task_loss", "flossing_loss"])
def test_a_peer_that_computes_something_else_is_refused(monkeypatch, tmp_path, loop):
    honest = getattr(command.torch_single, loop)
    monkeypatch.setattr(command.torch_single, loop, lambda *arguments: 1.001 * honest(*arguments))
    with pytest.raises(RuntimeError, match="the peer does not compute the gradient of"):
        measure(bench(tmp_path))
    assert not any(tmp_path.iterdir())


def test_flop_of_the_reference_protocol():
    """Counted by hand: a product of a [m, n] and an [n, p] matrix is 2 m n p."""
    job = bench(n=80, k=75, steps=300, flossing_steps=55, batch=16)
    forward = 2 * 80 * 80 * 16 * 300
    assert flop(Contender("torch", "train", 8), job) == 3 * forward
    product, triangle = 2 * 80 * 80 * 75 * 55, 80 * 75 * 75 * 55
    assert flop(Contender("torch", "floss", 8), job) == 3 * product + (2 + 2 + 1) * triangle
    assert flop(Contender("floss", "spectrum", 8, (8, 3)), job) == 30 * (2 * 8 * 8 * 3 + 2 * 8 * 3 * 3)


def test_every_loop_has_the_plain_contender_and_every_size():
    loops = [
        Contender(engine, loop, networks)
        for loop in ("train", "floss")
        for engine, networks in (("torch-single", 1), ("torch", 1), ("torch", 3))
    ]
    spectra = [Contender("floss", "spectrum", networks, size) for size in ((6, 6), (8, 3)) for networks in (1, 2)]
    assert contenders(bench()) == loops + spectra


def test_clvlib_takes_one_network_at_a_time():
    spectra = contenders(bench(spectrum_sizes=((6, 2),)), ["clvlib", "lyapax"])[6:]
    engines = [("clvlib", 1), ("lyapax", 1), ("floss", 1), ("lyapax", 2), ("floss", 2)]
    assert spectra == [Contender(engine, "spectrum", networks, (6, 2)) for engine, networks in engines]


@pytest.mark.usefixtures("no_peers")
def test_the_table(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "peak_megabytes", lambda *arguments: 1.25)  # a process for each, tested below
    path = measure(bench(tmp_path / "bench"))
    assert path.read_text().splitlines()[0] == COLUMNS
    table = rows(path)
    shape = [(r["loop"], r["engine"], r["networks"], r["t"], r["batch"], r["n"], r["k"]) for r in table]
    assert shape == [
        (loop, engine, networks, t, batch, "8", "4")
        for loop, t, batch in (("train", "20", "2"), ("floss", "25", "1"))
        for engine, networks in (("torch-single", "1"), ("torch", "1"), ("torch", "3"))
    ] + [
        ("spectrum", "floss", networks, "30", "1", n, k) for n, k in (("6", "6"), ("8", "3")) for networks in ("1", "2")
    ]
    for row in table:
        assert float(row["ms_per_network_epoch"]) > 0
        assert float(row["spread"]) >= 0
        assert 0 <= float(row["share_of_matmul_rate"]) < 1
        assert row["peak_mb"] in ("1.2", "1.25")
    environment = json.loads((tmp_path / "bench" / "environment.json").read_text())
    assert min(environment["matmul_gflops"], environment["matmul_gflops_float64"]) > 0
    assert [row["device"] for row in table] == [environment["device"]] * 10
    screen = capsys.readouterr()
    assert f"table    {path}" in screen.out
    assert screen.err.splitlines()[0] == (
        "floss bench: clvlib and lyapax are not installed; pip install 'floss[bench]' adds them"
    )
    assert sorted(file.name for file in path.parent.iterdir()) == ["bench.csv", "environment.json"]


def test_the_memory_of_a_contender_grows_with_what_it_holds(monkeypatch):
    """16 networks of N = 200 have W, its gradient and two moments in float32: 16 · 4 · 4 N² bytes at the least."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    megabytes = peak_megabytes(Contender("torch", "train", 16), bench(n=200), "cpu")
    assert 16 * 4 * 4 * 200**2 / 2**20 < megabytes < 1000


def test_what_is_said_of_missing_peers():
    assert spectrum.missing_line(["lyapax"]).startswith("floss bench: clvlib is not installed;")
    assert spectrum.missing_line(["lyapax", "clvlib"]) == ""


@pytest.mark.parametrize("peer", spectrum.PEERS)
@pytest.mark.parametrize(("n", "k"), [(12, 12), (12, 4), (5, 1)])
def test_a_peer_computes_our_exponents(peer, n, k):
    for package in spectrum.PEERS[peer]:
        pytest.importorskip(package)
    assert spectrum.exponent_difference(peer, n, k, 100, "cpu") < 1e-10


def test_a_spectrum_of_every_peer_is_in_the_table(monkeypatch, tmp_path, capsys):
    peers = [package for packages in spectrum.PEERS.values() for package in packages]
    for package in peers:
        pytest.importorskip(package)
    monkeypatch.setattr(command, "peak_megabytes", lambda *arguments: 1.25)
    path = measure(bench(tmp_path / "bench", spectrum_sizes=((6, 4),)))
    engines = [(row["engine"], row["networks"]) for row in rows(path) if row["loop"] == "spectrum"]
    assert engines == [("clvlib", "1"), ("lyapax", "1"), ("floss", "1"), ("lyapax", "2"), ("floss", "2")]
    environment = json.loads((tmp_path / "bench" / "environment.json").read_text())
    assert set(peers) <= set(environment["packages"])
    screen = capsys.readouterr()
    assert "exponents of N = 6, k = 4: lyapax and floss differ by" in screen.out
    assert "not installed" not in screen.err


@pytest.mark.parametrize("wrong", [lambda exponents: exponents * 1.001, lambda exponents: exponents * math.nan])
def test_a_peer_with_other_exponents_is_refused(monkeypatch, tmp_path, wrong):
    ours = spectrum.run_of

    def run_of(engine, *arguments):
        run = ours("floss", *arguments)
        return run if engine == "floss" else lambda: wrong(run())

    monkeypatch.setattr(spectrum, "installed", lambda: ["lyapax"])
    monkeypatch.setattr(spectrum, "run_of", run_of)
    with pytest.raises(RuntimeError, match="lyapax does not compute the exponents of N = 6, k = 6"):
        measure(bench(tmp_path))
    assert not any(tmp_path.iterdir())


def test_our_spectra_are_those_of_the_networks_one_by_one():
    parameters = spectrum.networks_of(6, 3, "cpu")
    together = spectrum.run_of("floss", parameters, 4, 40)()
    single = [
        spectrum.run_of("floss", {name: p[i : i + 1] for name, p in parameters.items()}, 4, 40)()[0] for i in range(3)
    ]
    np.testing.assert_allclose(together, np.stack(single), rtol=1e-12)
    assert (np.diff(together) <= 0).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spectrum_sizes", []),
        ("spectrum_sizes", 8),
        ("spectrum_sizes", [8, 4]),
        ("spectrum_sizes", [[4, 8]]),
        ("spectrum_sizes", [[4, 0]]),
        ("spectrum_sizes", [[4, 2, 1]]),
        ("spectrum_sizes", [[4, 2], [4, 2]]),
        ("spectrum_sizes", ["42"]),
        ("spectrum_steps", 0),
        ("spectrum_networks", []),
        ("spectrum_networks", [0]),
    ],
)
def test_keys_of_the_spectra(key, value):
    good = {"networks": [1], "repeats": 3, "seconds": 1, "device": "cpu", "results": "results", **SIZES}
    good |= {"spectrum_sizes": [[8, 3], [6, 6]], "spectrum_steps": 30, "spectrum_networks": [1]}
    assert build(BenchJob, good).spectrum_sizes == ((6, 6), (8, 3))
    with pytest.raises(ConfigError, match=f"^{key}={re.escape(str(value))}: must be "):
        build(BenchJob, {**good, key: value})


def test_wrong_sizes_on_the_command_line(tmp_path):
    done = floss(tmp_path, "bench", "spectrum_sizes=[[80,15],[8,9]]")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("floss bench: spectrum_sizes=[[80, 15], [8, 9]]: must be a list")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ["floss", *spectrum.PEERS])
def test_the_memory_of_a_spectrum(engine):
    for package in spectrum.PEERS.get(engine, ()):
        pytest.importorskip(package)
    assert 0 < peak_megabytes(Contender(engine, "spectrum", 1, (6, 4)), bench(), "cpu") < 1000
