"""What is drawn and reported from the committed data is the same on every processor: its pictures, and why it can be.

That its claims and tables are is in test_published.py.
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import FLOSS
from papers.lesser_processor import lesser

from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER

ROOT = Path(__file__).resolve().parents[2]
COMPUTING = {"one_step.py", "scans.py", *(path.name for path in (ROOT / "floss/papers").rglob("*_jobs.py"))}
"""Files of papers whose functions `floss reproduce` alone calls."""
LINEAR_ALGEBRA = {
    "linalg",
    "dot",
    "vdot",
    "inner",
    "matmul",
    "einsum",
    "tensordot",
    "corrcoef",
    "cov",
    "polyfit",
    "lstsq",
}


def test_the_environment_takes_the_instructions_away():
    """Or else equal bytes would say nothing."""
    program = "import numpy as np; print(np.show_config(mode='dicts')['SIMD Extensions'].get('found', []))"
    done = subprocess.run([sys.executable, "-c", program], env=lesser(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_pictures_are_the_same(tmp_path):
    """Of all figures and of every committed run and measurement."""
    shutil.copytree(ROOT / "results", tmp_path / "results", ignore=shutil.ignore_patterns("*.png", "*.svg"))
    done = subprocess.run(
        [FLOSS, "figures", "results=results"], cwd=tmp_path, env=lesser(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    drawn = [Path(line) for line in done.stdout.splitlines()]
    complete = [figure for figure in PAPER.figures() if Reproduction(ROOT / PAPER.results_folder).findings(figure)]
    assert {f"{figure}.{kind}" for figure in complete for kind in ("png", "svg")} <= {path.name for path in drawn}
    assert [path for path in drawn if (tmp_path / path).read_bytes() != (ROOT / path).read_bytes()] == []


@pytest.mark.parametrize("room", ["figures", "papers"])
def test_no_linear_algebra_is_reported(room):
    """Its libraries add in the order that suits the processor."""
    for path in sorted((ROOT / "floss" / room).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text()))) if path.name not in COMPUTING else []
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert not names & LINEAR_ALGEBRA, path
        assert not any(isinstance(node, ast.MatMult) for node in nodes), path
