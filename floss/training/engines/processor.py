"""Which vector instructions the processor has, and which of them the native engine uses.

The processor itself is asked, through a tiny library (`cpp/processor.cpp`). What torch says is not enough: it believes
the environment variable ATEN_CPU_CAPABILITY without looking, and an instruction that a processor does not have ends the
process.
"""

import functools
import logging
import os
from pathlib import Path

import torch

from floss.lyapunov.compiler import INSTRUCTION_SETS, BuildError, built, load, x86

LOGGER = logging.getLogger("floss")

SOURCES = Path(__file__).with_name("cpp")
VARIABLE = "ATEN_CPU_CAPABILITY"


@functools.cache
def processor_instructions() -> str:
    """The last of INSTRUCTION_SETS that this machine can run, whatever the environment variable says.

    Raises:
        BuildError: the processor cannot be asked, for want of a compiler.
    """
    if not x86():
        return INSTRUCTION_SETS[0]
    library = load(built(SOURCES / "processor.cpp", "PORTABLE"), "floss_instruction_set")
    return INSTRUCTION_SETS[library.floss_instruction_set()]


def used_instructions() -> str:
    """The instruction set of the native engine: the processor's, or a lower one that torch has been told to use.

    Raises:
        BuildError: the processor cannot be asked, for want of a compiler.
    """
    lower_capability()
    capability = torch.backends.cpu.get_cpu_capability()
    ceiling = capability if capability in INSTRUCTION_SETS else INSTRUCTION_SETS[0]
    return min(ceiling, processor_instructions(), key=INSTRUCTION_SETS.index)


def lower_capability() -> None:
    """Lower the environment variable to what the processor has, which is said in one line.

    This comes before the first kernel of torch, which reads the variable once and for all. Where there is no compiler
    the variable stays as it is.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("avx2", "avx512") or not x86():  # torch takes no notice of anything else, or uses no more
        return
    try:
        instructions = processor_instructions()
    except BuildError:
        return
    if INSTRUCTION_SETS.index(asked.upper()) > INSTRUCTION_SETS.index(instructions):
        os.environ[VARIABLE] = "default" if instructions == "PORTABLE" else instructions.lower()
        LOGGER.warning(
            "%s=%s is more than this processor has; %s takes its place", VARIABLE, asked, os.environ[VARIABLE]
        )
