"""Tables of a store that are packed are the same tables."""

import gzip
import shutil
from pathlib import Path

import pytest
from command import TINY, expand, job
from sweep.tiny_runs import computed, copied, ensemble, result

from floss.commands.reproduce import reproduce
from floss.jobs.paper import ReproduceJob
from floss.jobs.train import TrainJob
from floss.runtime.locks import exclusive
from floss.sweep import store
from floss.sweep.packing import PACKED, unpacked
from floss.sweep.store import Store


@pytest.fixture(autouse=True, scope="module")
def every_table_is_long():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "LARGE", 100)
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> TrainJob:
    return computed(job(*TINY, "seeds=3", f"results={tmp_path_factory.mktemp('plain')}"))


def packed(one: TrainJob, folder: Path) -> TrainJob:
    """The same results, packed."""
    one = copied(one, folder)
    pack(folder)
    return one


def pack(folder: Path) -> None:
    with (ours := Store(folder)).locked():
        ours.pack()


def tables(one: TrainJob) -> list[str]:
    return [path.name for path in sorted(ensemble(one).glob("metrics.csv*"))]


def test_the_same_rows_come_from_a_packed_table(plain, tmp_path):
    one = packed(plain, tmp_path)
    assert (tables(plain), tables(one)) == (["metrics.csv"], [PACKED])
    before, after = (Store(each.results) for each in (plain, one))
    assert before.records().keys() == after.records().keys() == expand([one]).keys()
    assert {record.status for record in after.records().values()} == {"done"}
    assert before.rows([*before.records().values()]) == after.rows([*after.records().values()])


def test_packing_a_store_that_has_been_read(plain, tmp_path):
    one, ours = copied(plain, tmp_path), Store(tmp_path)
    before = ours.rows([*ours.records().values()])
    with ours.locked():
        ours.pack()
    assert tables(one) == [PACKED]
    assert ours.rows([*ours.records().values()]) == before


def test_packing_twice_gives_the_same_bytes(plain, tmp_path):
    first, second = (packed(plain, tmp_path / name) for name in ("first", "second"))
    content = (ensemble(first) / PACKED).read_bytes()
    assert (ensemble(second) / PACKED).read_bytes() == content
    pack(tmp_path / "first")
    assert (tables(first), (ensemble(first) / PACKED).read_bytes()) == ([PACKED], content)


def test_what_people_open_is_made_from_it(plain, tmp_path):
    one = packed(plain, tmp_path)
    shutil.rmtree(one.folder)
    computed(one)
    assert tables(one) == [PACKED]  # nothing was computed
    assert result(one.folder) == result(plain.folder)


def test_what_is_not_done_or_short_or_busy_is_left_alone(plain, tmp_path, monkeypatch):
    one = copied(plain, tmp_path)
    with exclusive(ensemble(one)):
        pack(tmp_path)
    assert tables(one) == ["metrics.csv"]
    monkeypatch.setattr(store, "LARGE", 10**6)
    pack(tmp_path)
    assert tables(one) == ["metrics.csv"]
    monkeypatch.setattr(store, "LARGE", 100)
    summary = ensemble(one) / "summary.csv"
    summary.write_text(summary.read_text().replace("done", "interrupted", 1))
    pack(tmp_path)
    assert tables(one) == ["metrics.csv"]


def test_any_program_unpacks_it(plain, tmp_path):
    content = (ensemble(packed(plain, tmp_path)) / PACKED).read_bytes()
    assert gzip.decompress(content) == (ensemble(plain) / "metrics.csv").read_bytes()


@pytest.mark.parametrize("place", range(0, 100, 3))
def test_a_damaged_byte_costs_one_network(plain, tmp_path, place):
    """Wherever it is: in the header of a member, its rows or its checksum; but for the header of the table."""
    one = packed(plain, tmp_path)
    path = ensemble(one) / PACKED
    content = bytearray(path.read_bytes())
    table = content.find(content[:8], 1)  # where the member of the first network begins
    at = table + (len(content) - table) * place // 100
    content[at] ^= 0xFF
    path.write_bytes(content)
    statuses = [record.status for record in Store(tmp_path).records().values()]
    assert sorted(statuses) in (["damaged", "done", "done"], ["done"] * 3)
    # Some bytes of a member's header, as those of its time, mean nothing.
    unharmed = unpacked(bytes(content)) == (ensemble(plain) / "metrics.csv").read_bytes()
    assert unharmed == ("damaged" not in statuses)


def test_the_network_that_was_damaged_is_computed_again(plain, tmp_path, capsys):
    one = packed(plain, tmp_path)
    path = ensemble(one) / PACKED
    path.write_bytes(path.read_bytes()[:-20])
    computed(one)
    assert "1 network is damaged and computed again" in capsys.readouterr().err
    assert len(list((tmp_path / "ensembles").iterdir())) == 3  # two ensembles and the lock
    assert result(one.folder) == result(plain.folder)


@pytest.mark.parametrize("content", [b"", b"no table", b"\x1f\x8b\x08", b"\x1f\x8b\x08\0\0\0\0\0" * 5])
def test_what_is_no_packed_table_is_computed_again(plain, tmp_path, content):
    one = packed(plain, tmp_path)
    (ensemble(one) / PACKED).write_bytes(content)
    assert {record.status for record in Store(tmp_path).records().values()} == {"damaged"}
    computed(one)
    assert tables(one) == ["metrics.csv"]
    assert result(one.folder) == result(plain.folder)


def test_a_reproduction_is_packed(tmp_path):
    def whole() -> list[str]:
        return sorted(path.name for path in tmp_path.rglob("metrics.csv*"))

    machine = {"device": "auto", "engine": "auto", "memory_limit": None}
    asked = ReproduceJob(paper="gradient_flossing", fig=12, scale="smoke", data=None, results=str(tmp_path), **machine)
    assert reproduce(asked) == 0
    assert set(whole()) == {PACKED}
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert reproduce(asked) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == pictures
