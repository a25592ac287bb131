"""What is drawn and reported from the committed data is the same on every processor."""

import ast
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import FLOSS

from floss.papers.findings import Reproduction
from floss.papers.gradient_flossing import PAPER
from floss.papers.judge import judged
from floss.papers.report.tables import claims_markdown, figures_markdown

ROOT = Path(__file__).resolve().parents[2]
COMPUTING = {"one_step.py", "qr_jobs.py"}
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
PROGRAM = """
from floss.papers.claim import claims_csv
from floss.papers.findings import Reproduction
from floss.papers.judge import judged
from floss.papers.report.tables import claims_markdown, figures_markdown
reproduction = Reproduction("results/paper")
results = judged(reproduction)
texts = claims_csv(results), claims_markdown(results, reproduction.paper), figures_markdown(reproduction)
print(*texts, sep="====", end="")
"""


def lesser() -> dict[str, str]:
    """The environment of a process on which NumPy, its linear algebra and the C library use the oldest instructions."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]  # pyright: ignore[reportOptionalSubscript]
    oldest = {"x86_64": "Prescott", "aarch64": "ARMV8"}.get(platform.machine())
    return {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(extensions.get("found", [])),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
        **({"OPENBLAS_CORETYPE": oldest} if oldest else {}),
    }


def test_the_environment_takes_the_instructions_away():
    """Or else equal bytes would say nothing."""
    program = "import numpy as np; print(np.show_config(mode='dicts')['SIMD Extensions'].get('found', []))"
    done = subprocess.run([sys.executable, "-c", program], env=lesser(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_claims_and_tables_are_the_same():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=lesser(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    csv, claims, figures = done.stdout.split("====")
    reproduction = Reproduction(ROOT / PAPER.results_folder)
    assert csv == (ROOT / PAPER.report_folder / "claims.csv").read_text()
    assert claims == claims_markdown(judged(reproduction), PAPER)
    assert figures == figures_markdown(reproduction)


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
