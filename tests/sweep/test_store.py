"""The store of ensembles: scanned fast, damage found, strangers passed over."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command import TINY, expand, job, rows, run_jobs
from sweep.stacked_sweep import ensembles

from floss.jobs.networks import network_ids
from floss.sweep.folders import write_selection
from floss.sweep.store import Lease, Store

pytestmark = pytest.mark.usefixtures("no_pictures")


def big_store(folder: Path, ensembles: int, size: int, epochs: int) -> Store:
    """A store of made-up networks, written as ensembles are."""
    from floss.runtime.files import csv_text, write_whole
    from floss.sweep.columns import METRICS, identity
    from floss.sweep.stacking import Stack

    store = Store(folder)
    measured = [[epoch, "train", 0.123456789, 0.5, None, None] for epoch in range(epochs)]
    numbers = csv_text((), measured, header=False).splitlines()
    header = csv_text((*METRICS, "network"), [])
    for place in range(ensembles):
        stack = Stack(expand([job(*TINY, f"d={2 + 2 * (place % 9)}", f"seed={place * size}", f"seeds={size}")]))
        path = store.root / stack.name
        path.mkdir(parents=True)
        texts: dict[str, str] = {}
        for key, network in stack.networks.items():
            columns = csv_text((), [list(identity(network).values())], header=False).rstrip()
            texts[key] = "".join(f"{columns},{line},{key}\n" for line in numbers)
        write_whole(path / "metrics.csv", (header + "".join(texts.values())).encode())
        whole = {key: header + text for key, text in texts.items()}
        Lease(stack, path, None).write_summary({key: {"status": "done", "epochs": 20} for key in texts}, whole)
    return store


def test_ten_thousand_networks_are_scanned_in_seconds(tmp_path):
    import time

    big_store(tmp_path, 50, 200, 100)
    start_at = time.perf_counter()
    store = Store(tmp_path)
    records = store.records()
    scanned = time.perf_counter() - start_at
    assert len(records) == 10_000
    assert {record.status for record in records.values()} == {"done"}
    start_at = time.perf_counter()
    store.records()
    again = time.perf_counter() - start_at
    assert scanned < 20  # half a second on a quiet machine
    assert again < 0.3 * scanned
    count = write_selection(tmp_path / "chosen", {"d": (4.0,), "task": ("xor",)}, store)
    table = rows(tmp_path / "chosen" / "summary.csv")
    assert count == len(table) == 1200
    assert [int(row["seed"]) for row in table] == sorted(int(row["seed"]) for row in table)
    assert len((tmp_path / "chosen" / "metrics.csv").read_text().splitlines()) == 1 + 1200 * 100


def delete_a_row(text: str, key: str) -> str:
    lines = text.splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if line.rstrip().endswith(key))
    return "".join(lines[:place] + lines[place + 1 :])


def change_a_digit(text: str, key: str) -> str:
    line = next(line for line in text.splitlines() if line.endswith(key))
    return text.replace(line, line.replace("5", "6", 1) if "5" in line else line.replace("1", "2", 1))


def repeat_a_row(text: str, key: str) -> str:
    line = next(line for line in text.splitlines(keepends=True) if line.rstrip().endswith(key))
    return text + line


@pytest.mark.parametrize("damage", [delete_a_row, change_a_digit, repeat_a_row])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_damaged_network_is_found(tmp_path, damage: Callable[[str, str], str], place):
    store = big_store(tmp_path, 1, 4, 5)
    keys = list(store.records())
    path = ensembles(tmp_path)[0] / "metrics.csv"
    before = path.read_text()
    path.write_text(damage(before, keys[place]))
    assert path.read_text() != before
    found = {key: record.status for key, record in store.records().items()}
    assert found == {key: "damaged" if key == keys[place] else "done" for key in keys}


@pytest.mark.parametrize("column", ["final_loss", "d", "status", "sha256", "epochs"])
def test_a_changed_summary_is_found(tmp_path, column):
    one = job(*TINY, "seeds=2", "flossing=none", f"results={tmp_path}")
    run_jobs([one])
    path = ensembles(tmp_path)[0] / "summary.csv"
    table = rows(path)
    old = table[1][column]
    new = "diverged" if column == "status" else old[:-1] + ("1" if old[-1] != "1" else "2")
    lines = path.read_text().splitlines()
    fields = lines[2].split(",")
    fields[list(table[1]).index(column)] = new
    path.write_text("\n".join([lines[0], lines[1], ",".join(fields)]) + "\n")
    assert sorted(record.status for record in Store(tmp_path).records().values()) == ["damaged", "done"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", b"a,b\n1,2\n", b'"unclosed\n'])
def test_a_foreign_folder_in_the_store_is_passed_over(tmp_path, content):
    one = job(*TINY, "flossing=none", f"results={tmp_path}")
    stranger = tmp_path / "ensembles" / "stranger"
    stranger.mkdir(parents=True)
    (stranger / "summary.csv").write_bytes(content)
    (stranger / "metrics.csv").write_bytes(content)
    assert run_jobs([one]).status == dict.fromkeys(network_ids(one), "done")
    assert (stranger / "summary.csv").read_bytes() == content
