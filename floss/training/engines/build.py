"""Compiles the C++ sources on the machine that runs them, once, into the user's cache folder.

Installing the package needs no compiler. The name of a library holds the instruction set that it needs, and a hash of
the sources, of the compiler, of its options and of the kind of machine: a new version, another compiler or another node
of a cluster builds its own, beside the others.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

LOGGER = logging.getLogger("floss")

SOURCES = Path(__file__).with_name("cpp")
INSTRUCTION_SETS = ("PORTABLE", "AVX2", "AVX512")
"""Each holds those before it. A library for PORTABLE runs on every processor of its architecture."""

_COMPILERS = ("g++", "clang++", "c++")
_COMMON = ("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fno-math-errno", "-fno-trapping-math", "-DNDEBUG")
_X86 = {
    "PORTABLE": ("-march=x86-64",),  # some compilers take more than that for granted
    "AVX2": ("-march=x86-64", "-mavx2", "-mfma"),
    "AVX512": (
        *("-march=x86-64", "-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma"),
        "-mprefer-vector-width=512",
    ),
}
_VECTORS = {"AVX512": (64, 24), "AVX2": (32, 12)}
"""Bytes of a vector, and how many vector registers a tile may fill."""


class BuildError(Exception):
    """The native engine cannot be built here; the message is one line."""


def x86() -> bool:
    """Whether this is a processor of the x86-64 architecture."""
    return platform.machine().lower() in ("x86_64", "amd64")


def options(instructions: str) -> tuple[str, ...]:
    """Compiler options for an instruction set."""
    registers = 24 if platform.machine().lower() in ("arm64", "aarch64") else 12
    width, accumulators = _VECTORS.get(instructions, (16, registers))
    defines = (f"-DFLOSS_VECTOR_BYTES={width}", f"-DFLOSS_ACCUMULATORS={accumulators}")
    return (*_COMMON, *(_X86[instructions] if x86() else ()), *defines)


def compiler() -> str | None:
    """The C++ compiler: `$CXX`, or the first of g++, clang++, c++ that is there."""
    candidates = (os.environ["CXX"],) if os.environ.get("CXX") else _COMPILERS
    return next((path for name in candidates if (path := shutil.which(name))), None)


@functools.cache
def version(path: str) -> str:
    """What a compiler says of itself.

    Raises:
        BuildError: it does not run.
    """
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{path} does not run: {error}") from None
    return done.stdout


def cache_folder() -> Path:
    """Where built libraries lie: `$FLOSS_CACHE`, else `floss` in the user's cache folder."""
    if folder := os.environ.get("FLOSS_CACHE"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "floss"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "floss"


def built(source: Path, instructions: str, *, notice: str = "") -> Path:
    """The library of a source and the headers beside it; compiled before, where this has not been done yet.

    Args:
        source: a C++ file that includes all that it needs.
        instructions: one of INSTRUCTION_SETS.
        notice: what is being built, for a line on the screen while it is; nothing is said of what takes no time.

    Raises:
        BuildError: no compiler, or it does not compile, or the cache folder cannot be written.
    """
    folder, path = cache_folder(), compiler()
    if path is None:
        wanted = f"CXX={os.environ['CXX']}" if os.environ.get("CXX") else ", ".join(_COMPILERS)
        raise BuildError(f"no C++ compiler ({wanted}) on the path")
    key = hashlib.sha256()
    for file in (source, *sorted(source.parent.glob("*.h"))):
        _add(key, file.name.encode(), file.read_bytes())
    recipe = (version(path), " ".join(options(instructions)), sys.platform, platform.machine())
    _add(key, *(part.encode() for part in recipe))
    target = folder / f"{source.stem}-{instructions.lower()}-{key.hexdigest()[:12]}.so"
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "build.lock"):  # another process may be building the same
            if not target.exists():
                if notice:
                    LOGGER.warning("building %s (%s), once, into %s", notice, instructions, folder)
                _compile(path, source, instructions, target)
    except OSError as error:
        raise BuildError(f"cannot write to {folder}: {error.strerror or error}") from None
    return target


def load(path: Path) -> ctypes.CDLL:
    """A library that was built for this machine.

    Raises:
        BuildError: it cannot be loaded.
    """
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"{path} cannot be loaded: {error}") from None


def _add(key: "hashlib._Hash", *parts: bytes) -> None:
    for part in parts:
        key.update(hashlib.sha256(part).digest())


def _compile(path: str, source: Path, instructions: str, target: Path) -> None:
    """Aside, then renamed: one that is cut short leaves no library."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        out = Path(scratch) / "library.so"
        command = [path, *options(instructions), str(source), "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            raise BuildError(f"{path} fails: {lines[0].strip() if lines else f'status {done.returncode}'}")
        out.replace(target)
