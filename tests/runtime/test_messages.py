"""Messages of long computations: a line each on stderr, in whichever process a job runs."""

import ast
import sys
from pathlib import Path

import pytest
from command import TINY

from floss.commands.hydra_app import run_hydra
from floss.runtime.messages import LOGGER, show_messages


def test_a_message_is_one_line_however_often_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(LOGGER, "handlers", [])
    show_messages()
    show_messages()
    LOGGER.warning("waiting for %d networks", 3)
    assert capsys.readouterr() == ("", "floss: waiting for 3 networks\n")


def test_a_program_that_uses_floss_handles_its_messages_itself(monkeypatch, caplog, capsys):
    monkeypatch.setattr(LOGGER, "handlers", [])
    monkeypatch.setattr(LOGGER, "propagate", True)
    LOGGER.warning("waiting for %d networks", 3)
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("floss", "WARNING", "waiting for 3 networks")
    ]
    assert capsys.readouterr() == ("", "")


def test_a_launcher_may_run_a_job_in_a_process_of_its_own(monkeypatch, capsys):
    """`floss.commands.main` has not run there, so the job itself shows messages."""
    monkeypatch.setattr(LOGGER, "handlers", [])
    monkeypatch.setattr(sys, "argv", ["floss"])
    run_hydra("train", list(TINY), lambda config: LOGGER.warning("waiting"))
    assert capsys.readouterr().err == "floss: waiting\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_messages_go_to_stderr_as_it_is_now(monkeypatch, tmp_path, stream):
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(sys, stream, file)
        LOGGER.warning("waiting")
    assert (tmp_path / "file").read_text() == ("floss: waiting\n" if stream == "stderr" else "")


@pytest.mark.parametrize("room", ["sweep", "analysis"])
def test_rooms_that_compute_print_nothing(room):
    """They return outcomes, and what cannot wait is a message."""
    for path in (Path(__file__).resolve().parents[2] / "floss" / room).glob("*.py"):
        assert "print" not in {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
