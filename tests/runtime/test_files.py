"""Files on disk: whole or not at all, exact numbers, locks that die with their process, nothing private."""

import csv
import io
import json
import os
import pickle
import platform
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from floss.errors import CheckpointError, RunBusyError
from floss.runtime import environment as runtime_environment
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.environment import environment
from floss.runtime.files import csv_text, format_value, remove_leftovers, texts_apart, write_whole
from floss.runtime.locks import exclusive, locked, owner_of
from floss.sweep.columns import METRICS, SUMMARY


def test_write_whole_replaces(tmp_path):
    path = tmp_path / "metrics.csv"
    for content in (b"old", b"new and longer", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["os.replace", "os.fsync"])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch, broken):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    path = tmp_path / "metrics.csv"
    write_whole(path, b"old")
    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_grows_beyond_the_limit_leaves_the_old_one(tmp_path):
    """The real thing: the kernel refuses in the middle of the content."""
    path = tmp_path / "metrics.csv"
    write_whole(path, b"old")
    program = (
        "import resource, signal, sys; from pathlib import Path; from floss.runtime.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_whole(Path(sys.argv[1]), b'x' * 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    for name in (".metrics.csv.123.tmp", "metrics.csv", ".lock", "mine.tmp"):
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "metrics.csv", "mine.tmp"]


@given(st.floats(width=32, allow_nan=False))
def test_numbers_hold_a_float32_exactly(value):
    assert torch.tensor(float(format_value(value))).item() == torch.tensor(value).item()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""),
        (float("nan"), ""),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (0.1, "0.1"),
        (1.0, "1"),
        (7, "7"),
        (True, "True"),
    ],
)
def test_format(value, field):
    assert format_value(value) == field


def test_csv_has_unix_line_ends_and_quotes_where_it_must():
    text = csv_text(("a", "b"), [["x, y", None], ['"', 2.5]])
    assert text == 'a,b\n"x, y",\n"""",2.5\n'
    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["x, y", ""], ['"', "2.5"]]
    assert csv_text(("a", "b"), [[1, 2]], header=False) == "1,2\n"


def test_a_checkpoint_returns_what_it_was_given(tmp_path):
    content = {
        "parameters": {"W": torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), "steps": torch.arange(3)},
        "epoch": 7,
        "seconds": 1.5,
        "text": "ä",
    }
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"epoch": 0})
    save_checkpoint(path, content)
    loaded = load_checkpoint(path)
    assert {key: value for key, value in loaded.items() if key != "parameters"} == {
        key: value for key, value in content.items() if key != "parameters"
    }
    for name, tensor in content["parameters"].items():
        assert torch.equal(loaded["parameters"][name], tensor)
        assert loaded["parameters"][name].dtype == tensor.dtype
    assert list(tmp_path.iterdir()) == [path]


def test_every_flipped_byte_of_a_checkpoint_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"W": torch.ones(3)})
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
            load_checkpoint(path)
    for length in (0, 1, 64, 65, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"this checkpoint is damaged|this is not a checkpoint"):
            load_checkpoint(path)


def signed(payload: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


class Malicious:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    path, trace = tmp_path / "checkpoint.pt", tmp_path / "trace"
    for payload in (saved({"epoch": Malicious(str(trace))}), pickle.dumps(Malicious(str(trace)), protocol=2)):
        path.write_bytes(signed(payload))
        with pytest.raises(CheckpointError, match="this is not a checkpoint of floss"):
            load_checkpoint(path)
    assert not trace.exists()
    torch.load(io.BytesIO(saved(Malicious(str(trace)))), weights_only=False)  # it would have
    assert trace.exists()


@pytest.mark.parametrize("payload", [b"", b"hello", b"PK\x03\x04", saved([1, 2]), saved(torch.ones(3))])
def test_what_is_not_a_checkpoint(tmp_path, payload):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(signed(payload))
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: this is not a checkpoint of floss"):
        load_checkpoint(path)


def test_the_columns_say_which_network_first_and_last():
    who = ("task", "d", "arch", "init", "g", "flossing", "k", "t_ons", "seed")
    assert (*who, "epoch", "phase", "loss", "accuracy", "lambda_1", "floss_loss") == METRICS
    final = ("final_loss", "final_accuracy", "diverged_at", "epochs", "floss_epochs", "seconds", "floss_seconds")
    assert (*who, *final, "status", "reason", "network", "sha256") == SUMMARY


def test_a_folder_has_one_owner_at_a_time(tmp_path):
    assert not locked(tmp_path)
    with exclusive(tmp_path):
        assert locked(tmp_path)
        assert f"process {os.getpid()} on {platform.node()}, started 20" in (tmp_path / ".owner").read_text()
        assert owner_of(tmp_path) == (tmp_path / ".owner").read_text().strip()
        with (
            pytest.raises(RunBusyError, match=f"{tmp_path} is being computed by process {os.getpid()} on "),
            exclusive(tmp_path),
        ):
            pass
    assert not locked(tmp_path)
    with exclusive(tmp_path):
        pass
    assert not (tmp_path / ".owner").exists()
    assert owner_of(tmp_path) == "another process"


def test_an_error_inside_gives_the_folder_back(tmp_path):
    with pytest.raises(ZeroDivisionError, match="division"), exclusive(tmp_path):
        print(1 / 0)
    with exclusive(tmp_path):
        pass


def test_a_dead_owner_blocks_nobody(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from floss.runtime.locks import exclusive\n"
        "with exclusive(Path(sys.argv[1])): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 9
    assert (tmp_path / ".owner").exists()
    assert not locked(tmp_path)
    with exclusive(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / ".owner").read_text()


def test_the_environment_says_what_made_the_numbers_and_nothing_private(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    monkeypatch.setenv("FLOSS_COMMAND", "floss train d=4")
    info = environment("cpu")
    assert info["command"] == "floss train d=4"
    assert info["packages"]["torch"] == torch.__version__
    assert info["threads"] == torch.get_num_threads()
    assert info["torch_instructions"] == torch.backends.cpu.get_cpu_capability()
    assert info["device"]
    assert info["python"] == platform.python_version()
    text = json.dumps(info)
    assert "secret-host" not in text
    assert os.getcwd() not in text
    assert os.path.expanduser("~") + "/" not in text
    assert not [part for part in text.split('"') if part.startswith("/")]


def test_outside_a_checkout_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime_environment, "__file__", str(tmp_path / "floss" / "runtime" / "environment.py"))
    assert environment("cpu")["commit"] is None


def test_texts_have_as_few_digits_as_tell_their_numbers_apart():
    close = 0.1000000000001
    assert texts_apart([0.1, 2.0, 0.1, 3, "x", None, float("nan")], 6, 9) == {0.1: "0.1", 2.0: "2"}
    assert texts_apart([0.1, 0.10000001], 6, 9) == {0.1: "0.1", 0.10000001: "0.10000001"}
    assert texts_apart([0.1, close, 2.0], 6, 9) == {0.1: "0.1", close: "0.1000000000001", 2.0: "2"}
    assert texts_apart([5.656854249492381], 9) == {5.656854249492381: "5.65685425"}
