"""A command works whatever its output is: closed, left by its reader, or of an encoding without Greek letters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import ENVIRONMENT, FLOSS, TINY

LINE = (*TINY, "seeds=1", "flossing=none", "engine=torch", "results=r")
SETTLED = """
import os, sys
{before}
from floss.runtime.streams import settle_streams
settle_streams()
with open("file", "w") as file:
    assert file.fileno() > 2
print("λ₁", "gr\\udcc3", flush=True)
print("λ₁", file=sys.stderr, flush=True)
open("status", "w").write("well")
"""


def shell(folder: Path, line: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {**ENVIRONMENT, "PYTHON": sys.executable, "FLOSS": FLOSS, **environment}
    return subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("redirected", "environment", "out", "err"),
    [
        ("", {"PYTHONIOENCODING": "utf-8"}, "λ₁ gr?\n".encode(), "λ₁\n".encode()),
        ("", {"PYTHONIOENCODING": "ascii"}, b"?? gr?\n", b"??\n"),
        ("", {"PYTHONIOENCODING": "latin-1"}, b"?? gr?\n", b"??\n"),
        ("", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, b"?? gr?\n", b"??\n"),
        (">&-", {"PYTHONIOENCODING": "utf-8"}, b"", "λ₁\n".encode()),
        ("2>&-", {"PYTHONIOENCODING": "utf-8"}, "λ₁ gr?\n".encode(), b""),
        (">&- 2>&- <&-", {}, b"", b""),
        ("| :", {"PYTHONIOENCODING": "ascii"}, b"", b"??\n"),
        ("2>&1 | :", {}, b"", b""),
    ],
)
def test_writing_never_fails(tmp_path, redirected, environment, out, err):
    (tmp_path / "program.py").write_text(SETTLED.format(before="import time; time.sleep(0.1)"), encoding="utf-8")
    done = shell(tmp_path, f'"$PYTHON" -X utf8=0 program.py {redirected}', **environment)
    assert (done.stdout, done.stderr) == (out, err)
    assert (tmp_path / "status").read_text() == "well"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device on which there is no space")
def test_output_that_a_full_disk_does_not_take_is_said_at_the_end(tmp_path):
    done = shell(tmp_path, '"$FLOSS" --help > /dev/full')
    assert (done.returncode, done.stderr) == (1, b"floss: standard output: No space left on device\n")
    done = shell(tmp_path, '"$FLOSS" plan seeds=x 2> /dev/full')
    assert (done.returncode, done.stdout) == (2, b"")


def test_streams_of_another_program_stay(capsys):
    from floss.runtime.streams import settle_streams

    streams = sys.stdout, sys.stderr
    settle_streams()
    assert (sys.stdout, sys.stderr) == streams


def test_a_run_with_closed_streams_is_a_run(tmp_path):
    first = "from floss import figures; figures.draw = lambda folder: []"
    program = f"{first}\nfrom floss.commands.main import main\nimport sys; sys.argv[0] = 'floss'\nmain()"
    (tmp_path / "program.py").write_text(program)
    done = shell(tmp_path, f'"$PYTHON" program.py train {" ".join(LINE)} >&- 2>&- <&-')
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(tmp_path.glob("r/xor-*/summary.csv"))


@pytest.mark.parametrize("line", ["--help", "train --cfg job"])
def test_what_answers_at_once_answers_nobody(tmp_path, line):
    done = shell(tmp_path, f'"$FLOSS" {line} >&-; echo $?; "$FLOSS" {line} 2>&- >/dev/null; echo $?')
    assert (done.stdout, done.stderr) == (b"0\n0\n", b"")


def test_a_wrong_line_has_its_status_where_nobody_reads(tmp_path):
    assert shell(tmp_path, '"$FLOSS" train d=3 2>&-').returncode == 2


def test_a_folder_whose_name_the_locale_does_not_have(tmp_path):
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    first = "from floss import figures; figures.draw = lambda folder: []"
    program = f"{first}\nfrom floss.commands.main import main\nimport sys; sys.argv[0] = 'floss'\nmain()"
    (tmp_path / "program.py").write_text(program)
    line = " ".join(LINE).replace("results=r", "\"results='größe'\"")
    done = shell(tmp_path, f'"$PYTHON" program.py train {line}', **environment)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode(errors="replace")
    assert sorted(os.listdir(os.fsencode(tmp_path))) == ["größe".encode(), b"program.py"]
