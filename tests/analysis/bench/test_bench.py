"""`floss bench`: the peer computes what we compute, and the table has what it says."""

import json
import math
import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import floss, inside, rows

from floss.analysis.bench import agreement, jax_cells, jax_peer, loops, memory, peers, rounds, spectrum, torch_cells
from floss.analysis.bench.contenders import Contender, compared, flop, scanned
from floss.analysis.bench.measurement import COLUMNS, Measurement, expected_seconds, measure
from floss.analysis.bench.memory import peak_megabytes
from floss.errors import ConfigError
from floss.jobs.bench import BenchJob
from floss.jobs.keys import build
from floss.runtime.files import format_value, sealed
from floss.training import engines

HEADER = "device,engine,loop,n,k,t,batch,networks,arch,ms_per_network_epoch,spread,share_of_matmul_rate,peak_mb"
SIZES = {"n": 8, "k": 4, "steps": 20, "flossing_steps": 25, "batch": 2}
SPECTRUM = {
    "cells": (),
    "cell_networks": 2,
    "large": (),
    "spectrum_sizes": ((6, 6), (8, 3)),
    "spectrum_steps": 30,
    "spectrum_networks": (1, 2),
}
SCALING: dict[str, Any] = {
    **{f"scaling_{name}": () for name in ("n", "k", "steps", "flossing_steps", "batch")},
    "scaling_networks": 2,
}
SCANS = {"scaling_n": (5, 6, 7), "scaling_k": (1, 2, 3, 8, 9), "scaling_steps": (10, 20), "scaling_networks": 3}
SCANS |= {"scaling_flossing_steps": (20, 25, 30), "scaling_batch": (1, 2, 4)}
PARAMETERS = {"W", "V", "b", "U", "c", "h0"}


@pytest.fixture(autouse=True)
def quick():
    """Its picture is drawn and looked at, unlike those of the analyses."""


@pytest.fixture(autouse=True)
def one_thread():
    """More only wait for each other at these sizes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """The rate at which this machine multiplies is not looked at, and takes longer than all else."""
    monkeypatch.setitem(rounds.MATRIX_SIZE, "cpu", 64)


@pytest.fixture
def no_peers(monkeypatch):
    """As where jax, clvlib and lyapax are not installed."""
    for packages in peers.PEERS.values():
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def only_torch(monkeypatch):
    """As where the native engine cannot be built."""
    monkeypatch.setattr(engines, "available", lambda device: ["torch"])


@pytest.fixture
def with_jax():
    """Skips the test where JAX is not installed."""
    pytest.importorskip("jax")
    return jax_peer.load()


def bench(folder: object = "nowhere", **different: Any) -> BenchJob:
    return BenchJob(**keys_of(results=str(folder), **different))


def keys_of(**different: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {"networks": (1, 3), "repeats": 3, "seconds": 1e-3, "epochs": None, "device": "cpu"}
    return keys | SIZES | SPECTRUM | SCALING | different


def floss_bench(folder: Path, **different: Any) -> "subprocess.CompletedProcess[str]":
    """`floss bench` with results in `bench` in the folder."""
    values = {name: "null" if value is None else value for name, value in keys_of(**different).items()}
    overrides = [f"{name}={json.dumps(value) if value != 'null' else value}" for name, value in values.items()]
    done = inside(folder, "bench", *overrides, f"results={folder / 'bench'}")
    assert done.returncode == 0, done.stderr
    return done


SAME = [{}, {"k": 8}, {"k": 1}, {"batch": 1}, {"steps": 45}, {"n": 80, "k": 75, "steps": 60}]


def test_large_networks_are_timed_alone_and_by_the_native_engine():
    large = [c for c in compared(bench(large=(300, 3)), ["torch", "native"], []) if c.n in (300, 3)]
    assert [(c.engine, c.loop, c.n, c.k, c.networks) for c in large] == [
        ("native", loop, n, k, 1) for n, k in ((300, 4), (3, 3)) for loop in ("train", "floss")
    ]
    assert not [c for c in compared(bench(large=(300,)), ["torch"], []) if c.n == 300]


@pytest.mark.parametrize("different", SAME)
def test_the_plain_loop_computes_our_gradients(different):
    found = agreement.gradient_agreements(bench(**different), "cpu", engines.available("cpu"), [])
    assert {each.engine for each in found} == set(engines.available("cpu"))
    for each in found:
        assert each.difference < 1e-9, each


@pytest.mark.parametrize("different", SAME[:5])
def test_a_users_step_has_the_gradient_of_the_plain_loop(different):
    found = agreement.own_step_agreement(bench(**different), "cpu")
    assert (found.engine, found.problem) == ("floss-step", "floss")
    assert found.difference < 1e-9


@pytest.mark.usefixtures("with_jax")
@pytest.mark.parametrize("different", SAME)
def test_jax_computes_our_gradients(different):
    found = agreement.gradient_agreements(bench(**different), "cpu", [], ["jax", "clvlib"])
    assert [(each.engine, each.problem) for each in found] == [("jax", "train"), ("jax", "floss")]
    for each in found:
        assert each.difference < 1e-9, each


@pytest.mark.parametrize("arch", ["lstm", "gru", "lru"])
def test_the_modules_of_torch_compute_the_gradients_of_gated_cells(arch):
    found = agreement.cell_agreements(bench(), arch, "cpu", engines.available("cpu"), ["clvlib"])
    pairs = [(f"train {arch}", engine, "torch-single") for engine in engines.available("cpu")]
    pairs += [(f"floss {arch}", engine, "torch") for engine in engines.available("cpu") if engine != "torch"]
    assert sorted((each.problem, each.engine, each.reference) for each in found) == sorted(pairs)
    for each in found:
        assert each.difference < 1e-9, each


@pytest.mark.usefixtures("with_jax")
@pytest.mark.parametrize("arch", [*(pytest.param(arch, marks=pytest.mark.slow) for arch in ("lstm", "gru")), "lru"])
def test_jax_computes_the_gradients_of_gated_cells(arch):
    (found,) = agreement.cell_agreements(bench(), arch, "cpu", [], ["jax"])
    assert (found.problem, found.engine, found.reference) == (f"train {arch}", "jax", "torch-single")
    assert found.difference < 1e-9
    start = loops.training_of(Contender("jax", "train", 8, 4, 20, 2, 2, arch), "cpu").ensemble.parameters
    first = jax_peer.training_epoch(start, 20, 2, 18, jax_cells.loss_of(arch))()
    assert first.keys() == start.keys()
    for name, p in first.items():
        step = np.abs(np.array(p) - start[name].numpy()).reshape(2, -1).max(1)
        assert ((step > 0.9e-3) & (step < 1.01e-3)).all(), name


@pytest.mark.parametrize("arch", ["lstm", "gru", "lru"])
def test_an_epoch_of_a_module_takes_the_first_step_of_adam(arch):
    one = {
        n: p[0]
        for n, p in loops.training_of(Contender("", "train", 8, 4, 20, 2, 1, arch), "cpu").ensemble.parameters.items()
    }
    peer, same = (torch_cells.ModuleTraining(arch, one, 20, 2, 18) for _ in range(2))
    peer.epoch()
    for moved, start in zip(peer.module.parameters(), same.module.parameters(), strict=True):
        step = (moved - start).detach()
        step = torch.view_as_real(step) if step.is_complex() else step
        assert 0.6e-3 < float(step.abs().max()) < 1.01e-3, "a complex number takes the step as a whole"


@pytest.mark.usefixtures("no_peers", "only_torch")
def test_modules_of_other_cells_are_refused_and_not_timed(monkeypatch, tmp_path):
    honest = torch_cells.task_loss
    monkeypatch.setattr(torch_cells, "task_loss", lambda *arguments: 1.001 * honest(*arguments))
    said = r"^not the same gradients of train gru: torch and torch-single differ by 1\.0e-03"
    with pytest.raises(RuntimeError, match=said):
        measure(bench(tmp_path, cells=("gru",)))
    assert not any(tmp_path.iterdir())


def test_the_contenders_of_gated_cells():
    found = [
        c for c in compared(bench(cells=("gru", "lru")), ["native", "torch"], ["jax", "clvlib"]) if c.arch != "vanilla"
    ]
    trained = [("torch-single", 1), ("jax", 2), ("native", 2), ("torch", 2)]
    one = [("train", *each) for each in trained] + [("floss", "native", 2), ("floss", "torch", 2)]
    assert [(c.arch, c.loop, c.engine, c.networks) for c in found] == [(a, *e) for a in ("gru", "lru") for e in one]
    assert {(c.n, c.t, c.batch) for c in found} == {(8, 20, 2), (8, 25, 1)}


def test_flop_of_gated_cells():
    """An LSTM has four matrices, and a Jacobian of two blocks and twice the state; that of an LRU needs none."""
    forward = 2 * 80 * 80 * 16 * 300
    product, triangle = 2 * 80 * 80 * 75 * 55, 80 * 75 * 75 * 55
    for arch, matrices, blocks, variables in (("lstm", 4, 2, 2), ("gru", 3, 1, 1), ("lru", 2, 0, 0)):
        assert flop(Contender("torch", "train", 80, 75, 300, 16, 8, arch)) == matrices * 3 * forward
        expected = blocks * 3 * product + variables * 5 * triangle
        assert flop(Contender("torch", "floss", 80, 75, 55, 1, 8, arch)) == expected


@pytest.mark.usefixtures("no_peers", "only_torch")
def test_rows_of_gated_cells(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "peak_megabytes", lambda *arguments: 1.25)
    measurement = measure(
        bench(tmp_path, cells=("lru",), networks=(1,), spectrum_sizes=((6, 4),), spectrum_networks=(1,))
    )
    found = [(row.loop, row.engine, row.networks) for row in measurement.rows if row.arch == "lru"]
    assert found == [("train", "torch-single", 1), ("train", "torch", 2), ("floss", "torch", 2)]
    assert {row["arch"] for row in rows(measurement.table)} == {"vanilla", "lru"}


@pytest.mark.parametrize("loop", ["task_loss", "flossing_loss"])
def test_a_peer_that_computes_something_else_is_refused(monkeypatch, tmp_path, loop):
    honest = getattr(agreement.torch_single, loop)
    monkeypatch.setattr(agreement.torch_single, loop, lambda *arguments: 1.001 * honest(*arguments))
    name = "train" if loop == "task_loss" else "floss"
    said = rf"^not the same gradients of {name}: (torch|jax) and torch-single differ by 1\.0e-03"
    with pytest.raises(RuntimeError, match=said):
        measure(bench(tmp_path))
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("with_jax")
@pytest.mark.parametrize("wrong", [1.001, math.nan])
@pytest.mark.parametrize("loop", ["task_loss", "flossing_loss"])
def test_jax_that_computes_something_else_is_refused(monkeypatch, tmp_path, loop, wrong):
    honest = getattr(jax_peer, loop)
    monkeypatch.setattr(jax_peer, loop, lambda *arguments: wrong * honest(*arguments))
    name = "train" if loop == "task_loss" else "floss"
    with pytest.raises(RuntimeError, match=f"^not the same gradients of {name}: jax and torch-single differ by "):
        measure(bench(tmp_path))
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("with_jax")
@pytest.mark.parametrize("networks", [1, 2, 3])
def test_epochs_of_jax_take_the_first_steps_of_adam(networks):
    """Which are as long as the learning rate in each coordinate whose gradient is not tiny."""
    start = loops.training_of(Contender("jax", "train", 8, 4, 20, 2, networks), "cpu").ensemble.parameters
    epochs = {
        "train": jax_peer.training_epoch(start, 20, 2, 18),
        "floss": jax_peer.flossing_epoch(start, torch.eye(8)[:, :4].repeat(networks, 1, 1), 25, 13),
    }
    for loop, epoch in epochs.items():
        first = {name: np.array(p) for name, p in epoch().items()}
        assert set(first) == (PARAMETERS if loop == "train" else {"W", "V", "b"})
        for name, p in first.items():
            step = np.abs(p - start[name].numpy())
            assert p.dtype == np.float32
            assert step.shape == start[name].shape
            assert (step <= 1.01e-3).all()
            assert (step.reshape(networks, -1).max(1) > 0.9e-3).all(), (loop, name)
        second = epoch()["W"]
        assert (np.abs(np.array(second) - first["W"]).reshape(networks, -1).max(1) > 0).all()


@pytest.mark.usefixtures("with_jax")
def test_jax_networks_differ_in_their_data():
    """The same network three times: fresh bits for each, and at each epoch."""
    start = loops.training_of(Contender("jax", "train", 8, 4, 20, 2, 1), "cpu").ensemble.parameters
    epoch = jax_peer.training_epoch({name: p.repeat(3, *[1] * (p.ndim - 1)) for name, p in start.items()}, 20, 2, 18)
    for _ in range(2):
        W = np.array(epoch()["W"])
        assert len({w.tobytes() for w in W}) == 3


@pytest.mark.usefixtures("with_jax")
@pytest.mark.parametrize("threads", [1, 2])
def test_jax_has_the_threads_of_torch_and_spreads_the_networks_over_them(threads):
    """In a process of its own: JAX reads it once. Two networks go over two devices, and three over one."""
    program = (
        f"import torch; torch.set_num_threads({threads})\n"
        "from floss.analysis.bench import jax_peer\n"
        "from floss.analysis.bench.contenders import Contender\n"
        "from floss.analysis.bench.loops import training_of\n"
        "for networks in (2, 3):\n"
        "    p = training_of(Contender('jax', 'train', 8, 4, 20, 2, networks), 'cpu').ensemble.parameters\n"
        "    print(len(jax_peer.training_epoch(p, 20, 2, 18)()['W'].devices()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(threads), "1"]


def test_flop_of_the_reference_protocol():
    """Counted by hand: a product of a [m, n] and an [n, p] matrix is 2 m n p."""
    forward = 2 * 80 * 80 * 16 * 300
    assert flop(Contender("torch", "train", 80, 75, 300, 16, 8)) == 3 * forward
    product, triangle = 2 * 80 * 80 * 75 * 55, 80 * 75 * 75 * 55
    assert flop(Contender("torch", "floss", 80, 75, 55, 1, 8)) == 3 * product + (2 + 2 + 1) * triangle
    assert flop(Contender("floss", "spectrum", 8, 3, 30, 1, 8)) == 30 * (2 * 8 * 8 * 3 + 2 * 8 * 3 * 3)


def test_every_loop_has_the_plain_contender_and_every_size():
    trained = [
        Contender(engine, loop, 8, 4, t, batch, networks)
        for loop, t, batch in (("train", 20, 2), ("floss", 25, 1))
        for engine, networks in (("torch-single", 1), ("torch", 1), ("torch", 3), ("native", 1), ("native", 3))
    ]
    own = [
        Contender(engine, "floss", 8, 4, 25, batch, 1)
        for engine, batch in (("floss-step", 1), ("torch-single", 16), ("floss-step", 16))
    ]
    spectra = [
        Contender(engine, "spectrum", *size, 30, 1, r)
        for size in ((6, 6), (8, 3))
        for r in (1, 2)
        for engine in ("floss", "floss-step")
    ]
    assert compared(bench(), ["torch", "native"], []) == trained + own + spectra


def test_jax_is_measured_at_every_size_and_clvlib_one_network_at_a_time():
    found = compared(bench(spectrum_sizes=((6, 2),)), ["torch"], ["jax", "clvlib", "lyapax"])
    expected = [("torch-single", 1), ("jax", 1), ("jax", 3), ("torch", 1), ("torch", 3)] * 2
    expected += [("floss-step", 1), ("torch-single", 1), ("floss-step", 1)]
    expected += [("clvlib", 1), ("lyapax", 1), ("floss", 1), ("floss-step", 1)]
    expected += [("lyapax", 2), ("floss", 2), ("floss-step", 2)]
    assert [(c.engine, c.networks) for c in found] == expected


def test_scans_change_one_size_at_a_time():
    found = scanned(bench(**SCANS), ["torch"])
    train = [Contender("torch", "train", n, 4, 20, 2, 3) for n in (5, 6, 7)]
    floss = [Contender("torch", "floss", n, 4, 25, 1, 3) for n in (5, 6, 7)]
    floss += [Contender("torch", "floss", 8, k, 25, 1, 3) for k in (1, 2, 3, 8)]
    train += [Contender("torch", "train", 8, 4, t, 2, 3) for t in (10, 20)]
    floss += [Contender("torch", "floss", 8, 4, t, 1, 3) for t in (20, 25, 30)]
    train += [Contender("torch", "train", 8, 4, 20, batch, 3) for batch in (1, 4)]  # batch=2 is there already
    assert sorted(map(str, found)) == sorted(map(str, train + floss))
    assert scanned(bench(), ["torch"]) == []
    assert {c.k for c in scanned(bench(**SCALING | {"scaling_n": (3, 9)}), ["torch"])} == {3}


@pytest.mark.usefixtures("no_peers", "only_torch")
def test_the_table(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "peak_megabytes", lambda *arguments: 1.25)  # a process for each, tested below
    done = floss_bench(tmp_path, **SCANS)
    path = tmp_path / "bench" / "bench.csv"
    assert path.read_text().splitlines()[0] == HEADER == ",".join(COLUMNS)
    table = rows(path)
    shape = [(r["loop"], r["engine"], r["networks"], r["t"], r["batch"], r["n"], r["k"]) for r in table]
    compared = [
        (loop, engine, networks, t, batch, "8", "4")
        for loop, t, batch in (("train", "20", "2"), ("floss", "25", "1"))
        for engine, networks in (("torch-single", "1"), ("torch", "1"), ("torch", "3"))
    ]
    own = (("floss-step", "1"), ("torch-single", "16"), ("floss-step", "16"))
    compared += [("floss", engine, "1", "25", batch, "8", "4") for engine, batch in own]
    compared += [
        ("spectrum", engine, networks, "30", "1", n, k)
        for n, k in (("6", "6"), ("8", "3"))
        for networks in ("1", "2")
        for engine in ("floss", "floss-step")
    ]
    assert shape[:17] == compared
    assert len(shape) == len(set(shape)) == 17 + 15  # what is compared anyway is not measured again
    for row in table:
        assert float(row["ms_per_network_epoch"]) > 0
        assert float(row["spread"]) >= 0
        assert 0 <= float(row["share_of_matmul_rate"]) < 1
    assert [row["peak_mb"] for row in table] == ["1.2"] * 17 + [""] * 15
    environment = json.loads((tmp_path / "bench" / "environment.json").read_text())
    assert min(environment["matmul_gflops"], environment["matmul_gflops_float64"]) > 0
    assert {row["device"] for row in table} == {environment["device"]}
    said = [line for line in done.stdout.splitlines() if line.startswith(("gradients", "table", "picture"))]
    assert said[-3:] == [f"table    {path}"] + [
        f"picture  {path.with_name(f'scaling.{kind}')}" for kind in ("png", "svg")
    ]
    form = r"gradients of (train|floss): (torch|floss-step) and torch-single differ by \d\.\de-\d\d \(float64\)"
    found = [re.fullmatch(form, line) for line in said[:-3]]
    assert [m.groups() for m in found if m] == [("train", "torch"), ("floss", "torch"), ("floss", "floss-step")]
    shown = [line.split()[:6] for line in done.stdout.splitlines() if line.startswith(("train", "floss", "spectrum"))]
    assert shown[:10] == [[r["loop"], r["engine"], r["arch"], r["n"], r["k"], r["networks"]] for r in table[:10]]
    grown = re.findall(r"^(train|floss) +torch +(\w+) +\d+\.\.\d+ +-?\d+\.\d\d ± \d+\.\d\d", done.stdout, re.MULTILINE)
    assert grown == [("train", "N"), ("train", "B"), ("floss", "N"), ("floss", "T"), ("floss", "k")]
    assert done.stderr.splitlines()[0] == (
        "floss bench: jax, clvlib and lyapax are not installed; pip install 'floss[bench]' adds them"
    )
    files = ["SHA256SUMS", "bench.csv", "environment.json", "scaling.png", "scaling.svg"]
    assert sorted(file.name for file in path.parent.iterdir()) == files


@pytest.mark.usefixtures("no_peers")
def test_every_engine_is_in_the_table_and_nothing_is_drawn_where_nothing_varies(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "peak_megabytes", lambda *arguments: 1.25)
    done = floss_bench(tmp_path, spectrum_sizes=((6, 4),))
    path = tmp_path / "bench" / "bench.csv"
    assert {row["engine"] for row in rows(path)} == {"torch-single", "floss", "floss-step", *engines.available("cpu")}
    assert "picture" not in done.stdout
    assert not path.with_name("scaling.png").exists()


def test_the_memory_of_a_contender_grows_with_what_it_holds(monkeypatch):
    """16 networks of N = 200 have W, its gradient and two moments in float32: 16 · 4 · 4 N² bytes at the least."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    megabytes = peak_megabytes(Contender("torch", "train", 200, 4, 20, 2, 16), "cpu")
    assert 16 * 4 * 4 * 200**2 / 2**20 < megabytes < 1000


def test_what_is_said_of_missing_peers():
    assert peers.missing_line(["jax", "lyapax"]).startswith("floss bench: clvlib is not installed;")
    assert peers.missing_line(["clvlib"]).startswith("floss bench: jax and lyapax are not installed;")
    assert peers.missing_line(["lyapax", "clvlib", "jax"]) == ""


@pytest.mark.parametrize("peer", spectrum.PEERS)
@pytest.mark.parametrize(("n", "k"), [(12, 12), (12, 4), (5, 1)])
def test_a_peer_computes_our_exponents(peer, n, k):
    for package in peers.PEERS[peer]:
        pytest.importorskip(package)
    assert spectrum.exponent_difference(peer, n, k, 100, "cpu") < 1e-10


def test_every_peer_is_in_the_table(monkeypatch, tmp_path):
    packages = {package for packages in peers.PEERS.values() for package in packages}
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.setattr(memory, "peak_megabytes", lambda *arguments: 1.25)
    done = floss_bench(tmp_path, spectrum_sizes=((6, 4),))
    path = tmp_path / "bench" / "bench.csv"
    engines = [(row["engine"], row["networks"]) for row in rows(path) if row["loop"] == "spectrum"]
    several = [("lyapax", "2"), ("floss", "2"), ("floss-step", "2")]
    assert engines == [("clvlib", "1"), ("lyapax", "1"), ("floss", "1"), ("floss-step", "1"), *several]
    loops = [(row["loop"], row["networks"]) for row in rows(path) if row["engine"] == "jax"]
    assert loops == [("train", "1"), ("train", "3"), ("floss", "1"), ("floss", "3")]
    environment = json.loads((tmp_path / "bench" / "environment.json").read_text())
    assert packages <= set(environment["packages"])
    assert "exponents of N = 6, k = 4: lyapax and floss differ by" in done.stdout
    assert "gradients of floss: jax and torch-single differ by" in done.stdout
    assert "not installed" not in done.stderr


@pytest.mark.parametrize("wrong", [lambda exponents: exponents * 1.001, lambda exponents: exponents * math.nan])
def test_a_peer_with_other_exponents_is_refused(monkeypatch, tmp_path, wrong):
    ours = spectrum.run_of

    def run_of(engine, *arguments):
        run = ours("floss", *arguments)
        return run if engine == "floss" else lambda: wrong(run())

    monkeypatch.setattr(peers, "installed", lambda: ["lyapax"])
    monkeypatch.setattr(agreement, "gradient_agreements", lambda *arguments: [])
    monkeypatch.setattr(spectrum, "run_of", run_of)
    with pytest.raises(RuntimeError, match=r"^not the same exponents of N = 6, k = 6: lyapax and floss differ by "):
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
        ("scaling_n", [0]),
        ("scaling_k", 8),
        ("scaling_steps", [1, 20]),
        ("scaling_flossing_steps", [12]),
        ("scaling_batch", [4, 4]),
        ("scaling_networks", 0),
        ("cells", ["vanilla"]),
        ("cells", "lstm"),
        ("cell_networks", 0),
        ("large", [0]),
        ("large", 1024),
        ("epochs", 0),
        ("epochs", 1.5),
    ],
)
def test_keys_of_spectra_and_scans(key, value):
    good = {"networks": [1], "repeats": 3, "seconds": 1, "epochs": None, "device": "cpu", "results": "results", **SIZES}
    good |= {"spectrum_sizes": [[8, 3], [6, 6]], "spectrum_steps": 30, "spectrum_networks": [1]}
    good |= {"cells": [], "cell_networks": 2, "large": []}
    good |= {name: list(value) if isinstance(value, tuple) else value for name, value in SCALING.items()}
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
    for package in peers.PEERS.get(engine, ()):
        pytest.importorskip(package)
    assert 0 <= peak_megabytes(Contender(engine, "spectrum", 6, 4, 30, 1, 1), "cpu") < 1000


@pytest.mark.usefixtures("no_peers", "only_torch")
def test_measuring_prints_nothing_and_draws_nothing_and_tells_a_bar_how_far_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(memory, "peak_megabytes", lambda *arguments: 1.25)
    phases: list[list[Any]] = []

    class Bar(nullcontext[Any]):
        def __init__(self, **options: Any) -> None:
            super().__init__(self)

        def set_description_str(self, text: str) -> None:
            phases.append([text, None, 0])

        def reset(self, total: int) -> None:
            phases[-1][1] = total

        def update(self) -> None:
            phases[-1][2] += 1

    measurement = measure(bench(tmp_path, **SCANS), bar=Bar)
    assert capsys.readouterr() == ("", "")
    assert phases == [["preparing", 32, 32], ["rounds", 3, 3], ["memory", 17, 17]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["SHA256SUMS", "bench.csv", "environment.json"]
    assert sealed(tmp_path)
    assert measurement == Measurement(tmp_path, measurement.rows, measurement.agreements)
    written = [tuple(row.values()) for row in rows(measurement.table)]
    assert written == [tuple(map(format_value, astuple(row))) for row in measurement.rows]
    agreed = [(each.problem, each.engine) for each in measurement.agreements]
    assert agreed == [("train", "torch"), ("floss", "torch"), ("floss", "floss-step")]


@pytest.mark.parametrize("loop", ["train", "floss", "spectrum"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_epochs_of_a_round(monkeypatch, loop, device):
    """So many as the job says, of training and flossing; before them those in which an engine settles."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(rounds, "matmul_rate", lambda *arguments: lambda: 1.0)
    ran: list[int] = []
    monkeypatch.setattr(rounds, "epochs_of", lambda contender, device: ran.append)
    settling = 5 if device == "cuda" else 1
    contender, once = Contender("floss", loop, 6, 4, 30, 1, 1), bench(epochs=7, seconds=1e-9)
    times, rates = rounds.timed_rounds(once, [contender], device, lambda title, items: items)
    assert ran == ([settling, 1, 1, 1, 1] if loop == "spectrum" else [settling, *(1, 7) * 3])
    assert (len(times), len(times[0]), rates) == (1, 3, [(1.0, 1.0)] * 3)


def test_how_long_it_takes_grows_with_rounds_and_contenders():
    few, many, long = (expected_seconds(bench(**keys)) for keys in ({}, SCANS, {"repeats": 9}))
    assert 0 < few < many
    assert long == pytest.approx(2 * few)
