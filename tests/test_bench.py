"""`floss bench`: the peer computes what we compute, and the table has what it says."""

import json

import pytest
import torch
from command import rows

from floss.bench import command
from floss.bench.command import Contender, contenders, flop, gradient_difference, measure, peak_megabytes
from floss.config import BenchJob

COLUMNS = "device,engine,loop,n,k,t,batch,networks,ms_per_network_epoch,spread,share_of_matmul_rate,peak_mb"
SIZES = {"n": 8, "k": 4, "steps": 20, "flossing_steps": 25, "batch": 2}


@pytest.fixture(autouse=True)
def one_thread():
    """More only wait for each other at these sizes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def bench(folder: object = "nowhere", **different: int) -> BenchJob:
    return BenchJob(networks=(1, 3), repeats=3, seconds=1e-3, device="cpu", results=str(folder), **(SIZES | different))


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
    assert flop(job, "train") == 3 * forward
    product, triangle = 2 * 80 * 80 * 75 * 55, 80 * 75 * 75 * 55
    assert flop(job, "floss") == 3 * product + (2 + 2 + 1) * triangle


def test_every_loop_has_the_plain_contender_and_every_size():
    assert contenders(bench()) == [
        Contender(engine, loop, networks)
        for loop in ("train", "floss")
        for engine, networks in (("torch-single", 1), ("torch", 1), ("torch", 3))
    ]


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
    ]
    for row in table:
        assert float(row["ms_per_network_epoch"]) > 0
        assert float(row["spread"]) >= 0
        assert 0 <= float(row["share_of_matmul_rate"]) < 1
        assert row["peak_mb"] in ("1.2", "1.25")
    environment = json.loads((tmp_path / "bench" / "environment.json").read_text())
    assert environment["matmul_gflops"] > 0
    assert [row["device"] for row in table] == [environment["device"]] * 6
    assert f"table    {path}" in capsys.readouterr().out
    assert sorted(file.name for file in path.parent.iterdir()) == ["bench.csv", "environment.json"]


def test_the_memory_of_a_contender_grows_with_what_it_holds(monkeypatch):
    """16 networks of N = 200 have W, its gradient and two moments in float32: 16 · 4 · 4 N² bytes at the least."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    megabytes = peak_megabytes(Contender("torch", "train", 16), bench(n=200), "cpu")
    assert 16 * 4 * 4 * 200**2 / 2**20 < megabytes < 1000
