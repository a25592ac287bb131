"""Damaged tables: those networks are computed again, no others, and the bytes are the same."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sweep.damage import append, empty, flip_a_byte, truncate
from sweep.tiny_runs import assert_same, computed, copied, ensemble, parameters, result, watched

from floss.jobs.networks import network_ids
from floss.jobs.train import TrainJob, config_yaml

pytestmark = pytest.mark.usefixtures("no_pictures")


def said_damaged(count: int, folder: Path) -> str:
    return f"floss: {count} network{' is' if count == 1 else 's are'} damaged and computed again: {folder}\n"


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        truncate,
        flip_a_byte,
        empty,
        append(b"xor,4,vanilla,gaussian,1,during,4,1,0,99,train,1,1,,\n"),
        append(b"xor,4,van"),
        append(b"\xff\x00"),
    ],
)
def test_metrics_csv_of_an_unfinished_ensemble_is_only_for_people(tmp_path, capsys, undisturbed, damage, interrupted):
    one = copied(interrupted, tmp_path)
    damage(ensemble(one) / "metrics.csv")
    capsys.readouterr()
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert watch.epochs <= 30 - 13
    assert capsys.readouterr().err == ""


def lines_of(path: Path) -> tuple[bytes, list[bytes], list[bytes]]:
    """Header, and rows of the first and of the second network."""
    header, *lines = path.read_bytes().splitlines(keepends=True)
    first, second = dict.fromkeys(line[-13:] for line in lines)
    return header, [line for line in lines if line[-13:] == first], [line for line in lines if line[-13:] == second]


def write(path: Path, header: bytes, *rows: list[bytes]) -> None:
    path.write_bytes(header + b"".join(line for part in rows for line in part))


def without_a_row(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first[:2] + first[3:], second)


def without_the_first_row(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first[1:], second)


def without_a_network(path: Path) -> None:
    header, first, _ = lines_of(path)
    write(path, header, first)


def with_another_digit(path: Path) -> None:
    header, first, second = lines_of(path)
    fields = second[3].split(b",")
    place = next(i for i in range(11, 15) if fields[i])
    fields[place] = fields[place][:-1] + bytes([fields[place][-1] ^ 1])
    write(path, header, first, [*second[:3], b",".join(fields), *second[4:]])


def with_rows_in_another_order(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, [first[1], first[0], *first[2:]], second)


def with_a_row_twice(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first, [second[0], *second])


def with_a_row_apart(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first[:-1], second, first[-1:])


def without_the_last_line_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def without_half_a_row(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def with_the_networks_keys_exchanged(path: Path) -> None:
    header, first, second = lines_of(path)
    one, other = first[0][-13:], second[0][-13:]
    write(path, header, [line[:-13] + other for line in first], [line[:-13] + one for line in second])


def with_the_networks_in_another_order(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, second, first)


def with_another_header(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header.replace(b",loss,", b",lnss,"), first, second)


def with_a_header_that_is_no_text(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header.replace(b",loss,", b",l\xffss,"), first, second)


def with_a_row_of_nobody(path: Path) -> None:
    header, first, second = lines_of(path)
    write(path, header, first, [first[0][:-13] + b"0123456789ab\n"], second)


def edit_summary(place: int, **columns: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path = path.with_name("summary.csv")
        header, *lines = path.read_text().splitlines()
        fields = dict(zip(header.split(","), lines[place].split(","), strict=True))
        lines[place] = ",".join({**fields, **columns}.values())
        path.write_text("\n".join([header, *lines, ""]))

    return damage


def summary_without_a_network(path: Path) -> None:
    path = path.with_name("summary.csv")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def summary_cut_off(path: Path) -> None:
    path = path.with_name("summary.csv")
    path.write_bytes(path.read_bytes()[:-100])


def without_summary(path: Path) -> None:
    path.with_name("summary.csv").unlink()


def damaged(folder: Path, finished: TrainJob, damage: Callable[[Path], object]) -> TrainJob:
    """The same job with a damaged metrics.csv in its ensemble, and without its folder, in another results folder."""
    one = copied(finished, folder)
    damage(ensemble(one) / "metrics.csv")
    shutil.rmtree(one.folder)
    return one


FINISHED_AND_DAMAGED = [
    (without_a_row, [0]),
    (without_the_first_row, [0]),
    (without_a_network, [1]),
    (with_another_digit, [1]),
    (with_rows_in_another_order, [0]),
    (with_a_row_twice, [1]),
    (with_a_row_apart, [0]),
    (without_the_last_line_end, [1]),
    (without_half_a_row, [1]),
    (with_the_networks_keys_exchanged, [0, 1]),
    (empty, [0, 1]),
    (Path.unlink, [0, 1]),
    (with_another_header, [0, 1]),
    (with_a_header_that_is_no_text, [0, 1]),
    (edit_summary(0, final_loss="0.5"), [0]),
    (edit_summary(1, status="diverged"), [1]),
    (edit_summary(1, seed="3"), [1]),
    (edit_summary(0, sha256=""), [0]),
]


@pytest.mark.parametrize(("damage", "networks"), FINISHED_AND_DAMAGED)
def test_damaged_rows_are_computed_again_and_no_others(tmp_path, capsys, undisturbed, damage, networks):
    one = damaged(tmp_path, undisturbed, damage)
    with watched() as watch:
        computed(one)
    keys = network_ids(one)
    assert watch.networks == [[keys[i] for i in networks]]
    assert watch.epochs == 30
    assert capsys.readouterr().err == said_damaged(len(networks), ensemble(one))
    assert result(one.folder) == result(undisturbed.folder)
    assert parameters(one.folder) == parameters(undisturbed.folder)
    assert not list(tmp_path.rglob("*.damaged"))
    with watched() as watch:
        computed(one)
    assert watch.networks == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("damage", "networks"),
    [
        (summary_without_a_network, [1]),
        (summary_cut_off, [1]),
        (edit_summary(0, network="0123456789ab"), [0]),
        (without_summary, [0, 1]),
    ],
)
def test_networks_that_no_summary_has_are_computed_again(tmp_path, capsys, undisturbed, damage, networks):
    one = damaged(tmp_path, undisturbed, damage)
    with watched() as watch:
        computed(one)
    keys = network_ids(one)
    assert watch.networks == [[keys[i] for i in networks]]
    assert "checkpoint" not in capsys.readouterr().err  # that of the finished ensemble is none to go on from
    assert result(one.folder) == result(undisturbed.folder)
    assert parameters(one.folder) == parameters(undisturbed.folder)


@pytest.mark.parametrize(
    "damage",
    [
        with_the_networks_in_another_order,
        with_a_row_of_nobody,
        append(b"xor,4,vanilla,gaussian,1,during,4,1,0,99,train,1,1,,\n"),
        append(b"xor,4,van"),
        append(b"\xff\x00"),
        edit_summary(0, seconds="9", floss_seconds="8"),
    ],
)
def test_what_is_no_networks_row_does_no_harm(tmp_path, capsys, undisturbed, damage):
    one = damaged(tmp_path, undisturbed, damage)
    with watched() as watch:
        computed(one)
    assert watch.networks == []
    assert capsys.readouterr().err == ""
    assert result(one.folder) == result(undisturbed.folder)
    assert parameters(one.folder) == parameters(undisturbed.folder)


def with_another_rate(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"lr: 0.001", b"lr: 0.5", 1))


@pytest.mark.parametrize(
    "damage", [Path.unlink, empty, truncate, with_another_rate, lambda path: path.write_bytes(b"- 1\n")]
)
def test_a_damaged_configuration_of_a_run_is_written_again(tmp_path, capsys, undisturbed, damage):
    one = copied(undisturbed, tmp_path)
    path = one.folder / "config.yaml"
    damage(path)
    computed(one)
    assert path.read_text() == config_yaml(one)
    said = "" if damage is Path.unlink else f"floss: {path} was changed or damaged: written again\n"
    assert capsys.readouterr().err == said


def test_what_changes_no_number_may_be_another_in_the_configuration_of_a_run(tmp_path, capsys, undisturbed):
    one = copied(undisturbed, tmp_path)
    path = one.folder / "config.yaml"
    other = path.read_text().replace("checkpoint_every: ", "checkpoint_every: 1")
    path.write_text(other)
    computed(one)
    assert (path.read_text(), capsys.readouterr().err) == (other, "")
