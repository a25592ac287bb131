"""The processor decides which vector instructions are used; the environment variable may only lower them."""

import os
import subprocess
import sys

import pytest
import torch
from grids import covered, grid

from floss.lyapunov.compiler import INSTRUCTION_SETS, BuildError, x86
from floss.training import engines
from floss.training.engines import processor
from floss.training.engines.call_arguments import NAMES
from floss.training.engines.processor import VARIABLE, lower_capability, processor_instructions, used_instructions

SETS_OF_VANILLA = [(variable, "vanilla") for variable in ("default", "avx2", "avx512")]
needs_compiler = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")
CASES = [
    # what the processor reports, what the variable asks for, what is used
    ("AVX512", "avx512", "AVX512"),
    ("AVX512", "avx2", "AVX2"),
    ("AVX512", "default", "PORTABLE"),
    ("AVX2", "avx512", "AVX2"),
    ("AVX2", "avx2", "AVX2"),
    ("AVX2", "default", "PORTABLE"),
    ("PORTABLE", "avx512", "PORTABLE"),
    ("PORTABLE", "avx2", "PORTABLE"),
    ("PORTABLE", "default", "PORTABLE"),
]


@pytest.fixture
def pretend(monkeypatch):
    """Sets what an x86 processor reports, and the variable, which torch believes."""

    def use(reported: str, variable: str | None) -> None:
        monkeypatch.setattr(processor, "x86", lambda: True)
        monkeypatch.setattr(processor, "processor_instructions", lambda: reported)
        monkeypatch.delenv(VARIABLE, raising=False)
        if variable is not None:
            monkeypatch.setenv(VARIABLE, variable)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: (variable or reported).upper())

    return use


@pytest.mark.parametrize(("reported", "variable", "used"), CASES)
def test_the_variable_only_lowers(pretend, reported, variable, used):
    pretend(reported, variable)
    assert used_instructions() == used


@pytest.mark.parametrize("capability", ["DEFAULT", "NO AVX", "SVE256", "ZVECTOR", "something new"])
def test_a_capability_that_is_none_of_ours_is_portable(pretend, capability, monkeypatch):
    pretend("AVX2", None)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert used_instructions() == "PORTABLE"


@pytest.mark.parametrize(("reported", "variable", "used"), CASES)
def test_torch_is_told_before_it_believes_too_much(pretend, capsys, reported, variable, used):
    pretend(reported, variable)
    lower_capability()
    left = os.environ[VARIABLE]
    assert left == ("default" if used == "PORTABLE" else used.lower())
    said = f"floss: {VARIABLE}={variable} is more than this processor has; {left} takes its place\n"
    assert capsys.readouterr().err == ("" if left == variable else said)
    lower_capability()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("variable", [None, "", "AVX512", "nonsense"])
def test_what_torch_takes_no_notice_of_stays(pretend, capsys, variable):
    pretend("PORTABLE", variable)
    lower_capability()
    assert os.environ.get(VARIABLE) == variable
    assert capsys.readouterr().err == ""


def test_without_a_compiler_nobody_can_be_asked(pretend, monkeypatch):
    pretend("", "avx512")

    def no_compiler() -> str:
        raise BuildError("no C++ compiler")

    monkeypatch.setattr(processor, "processor_instructions", no_compiler)
    lower_capability()
    assert os.environ[VARIABLE] == "avx512"
    with pytest.raises(BuildError, match="no C"):
        used_instructions()


def test_another_architecture_is_not_asked(monkeypatch):
    monkeypatch.setattr(processor, "x86", lambda: False)
    monkeypatch.setattr(processor, "built", lambda *_: pytest.fail("nothing is built"))
    assert processor_instructions.__wrapped__() == "PORTABLE"


# --- in processes of their own ---------------------------------------------------------------------------------------

TRAIN = """
import sys
import torch
from floss.training import engines
from floss.training.engines import processor
from floss.training.engines.shared_library import recipe
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

arch, *reported = sys.argv[1:]
if reported:
    processor.processor_instructions = lambda: reported[0]
torch.set_num_threads(1)
k = 2 if arch == "relu" else 9  # of ReLU units few respond, and float32 does not tell lost directions from rounding
networks = [Network(seed=s, d=4, k=k + s, g=0.9, episodes=(0, 2), flossing_steps=21) for s in range(2)]
for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 2e-3)):
    states = []
    for name in ("native", "torch"):
        engine = engines.find(name, arch=arch, device="cpu")
        protocol = Protocol(arch=arch, n=21, epochs=4, steps=12, batch=7, flossing_epochs=3, dtype=dtype)
        training = Training(Ensemble(networks, protocol), engine)
        list(training.run())
        states.append(torch.cat([p.flatten() for p in training.ensemble.parameters.values()]))
    torch.testing.assert_close(*states, rtol=0, atol=tolerance)
print(recipe()["native_instructions"], torch.backends.cpu.get_cpu_capability(), sep="\\n")
"""


def printed(code: str, *arguments: str, variable: str | None) -> list[str]:
    """What a Python program prints in a process with the variable."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if variable is not None:
        environment[VARIABLE] = variable
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def lower(*instructions: str) -> str:
    return min(instructions, key=INSTRUCTION_SETS.index)


@needs_compiler
@pytest.mark.parametrize(("variable", "arch"), grid(SETS_OF_VANILLA, ["default", "avx2", "avx512"], NAMES))
def test_every_instruction_set_that_is_here_computes_the_same(variable, arch):
    """On a processor with AVX2 the last one is the variable set too high; with AVX-512 all three sets are built."""
    asked = "PORTABLE" if variable == "default" else variable.upper()
    native, _ = printed(TRAIN, arch, variable=variable)
    assert native == lower(asked, processor_instructions())


@needs_compiler
@pytest.mark.parametrize("reported", covered(["PORTABLE", "AVX2"], ["AVX2"]))
def test_a_variable_that_is_too_high_for_the_processor(reported):
    """Whatever is here stands in for a lesser processor, on which neither engine may use more."""
    reported = lower(reported, processor_instructions())  # never more than is here
    native, torchs = printed(TRAIN, "vanilla", reported, variable="avx512")
    assert native == reported
    if x86():
        assert (torchs if torchs in INSTRUCTION_SETS else "PORTABLE") == reported


@needs_compiler
def test_torch_finds_by_itself_what_the_processor_reports():
    """So that its names for them are still those that we expect."""
    code = "from floss.training.engines.processor import used_instructions; print(used_instructions())"
    assert printed(code, variable=None) == [processor_instructions()]
