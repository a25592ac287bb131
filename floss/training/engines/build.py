"""Builds the native engine on the machine that runs it, once, into the user's cache folder.

Installing the package needs no compiler. The library's name holds a hash of the source, of the compiler and of its
options, and the instruction set: a new version, another compiler or another node of a cluster builds its own.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from filelock import FileLock

SOURCE = Path(__file__).with_name("native.cpp")
_COMPILERS = ("g++", "clang++", "c++")
_COMMON = ("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fno-math-errno", "-fno-trapping-math", "-DNDEBUG")
_X86 = {
    "AVX512": ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mprefer-vector-width=512"),
    "AVX2": ("-mavx2", "-mfma"),
}
_VECTORS = {"AVX512": (64, 24), "AVX2": (32, 12)}
"""Bytes of a vector, and how many vector registers a tile may fill."""


class BuildError(Exception):
    """The native engine cannot be built here; the message is one line."""


def instruction_set() -> str:
    """`AVX512`, `AVX2` or `PORTABLE`: what this machine has, as torch sees it (`ATEN_CPU_CAPABILITY` lowers it)."""
    found = torch.backends.cpu.get_cpu_capability()
    return found if found in _X86 and platform.machine().lower() in ("x86_64", "amd64") else "PORTABLE"


def compiler() -> str | None:
    """The C++ compiler: `$CXX`, or the first of g++, clang++, c++ that is there."""
    candidates = (os.environ["CXX"],) if os.environ.get("CXX") else _COMPILERS
    return next((path for name in candidates if (path := shutil.which(name))), None)


def cache_folder() -> Path:
    """Where built libraries lie: `$FLOSS_CACHE`, else `floss` in the user's cache folder."""
    if own := os.environ.get("FLOSS_CACHE"):
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "floss"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "floss"


def options(instructions: str) -> tuple[str, ...]:
    """Compiler options for an instruction set."""
    registers = 24 if platform.machine().lower() in ("arm64", "aarch64") else 12
    width, accumulators = _VECTORS.get(instructions, (16, registers))
    defines = (f"-DFLOSS_VECTOR_BYTES={width}", f"-DFLOSS_ACCUMULATORS={accumulators}")
    return (*_COMMON, *_X86.get(instructions, ()), *defines)


@functools.cache
def library() -> ctypes.CDLL:
    """The native engine, loaded; built before, where this has not been done yet, which it says in one line.

    Raises:
        BuildError: no compiler, or it does not build, or the cache folder cannot be written.
    """
    path = _built(instruction_set())
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"{path} cannot be loaded: {error}") from None


def _built(instructions: str) -> Path:
    folder, found = cache_folder(), compiler()
    if found is None:
        wanted = f"CXX={os.environ['CXX']}" if os.environ.get("CXX") else ", ".join(_COMPILERS)
        raise BuildError(f"no C++ compiler ({wanted}) on the path")
    key = hashlib.sha256()
    for part in (SOURCE.read_bytes(), _version(found).encode(), " ".join(options(instructions)).encode()):
        key.update(hashlib.sha256(part).digest())
    path = folder / f"native-{instructions.lower()}-{key.hexdigest()[:12]}.so"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "build.lock"):  # another process may be building the same
            if not path.exists():
                _compile(found, instructions, path)
    except OSError as error:
        raise BuildError(f"cannot write to {folder}: {error.strerror or error}") from None
    return path


def _version(found: str) -> str:
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{found} does not run: {error}") from None
    return done.stdout


def _compile(found: str, instructions: str, path: Path) -> None:
    print(f"floss: building the native engine ({instructions}), once, into {path.parent}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        out = Path(scratch) / "native.so"
        done = subprocess.run(
            [found, *options(instructions), str(SOURCE), "-o", str(out)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or [""]
            raise BuildError(f"{found} fails: {lines[0].strip()}")
        out.replace(path)
