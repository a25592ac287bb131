"""Compiles C++ sources on the machine that runs them, once, into the user's cache folder.

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
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

LOGGER = logging.getLogger("floss")

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
_CAPTURED: Any = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
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


def compiler() -> tuple[str, ...] | None:
    """The C++ compiler and its first arguments: `$CXX`, which may have some, or the first of g++, clang++, c++.

    None where there is no such program.
    """
    asked = os.environ.get("CXX", "").strip()
    if not asked:
        return next(((path,) for name in _COMPILERS if (path := shutil.which(name))), None)
    if whole := shutil.which(asked):  # of a path with spaces
        return (whole,)
    try:
        program, *arguments = shlex.split(asked)
    except ValueError:  # quotation marks that do not match
        return None
    path = shutil.which(program)
    return (path, *arguments) if path else None


@functools.cache
def version(command: tuple[str, ...]) -> str:
    """What a compiler says of itself.

    Raises:
        BuildError: it does not run.
    """
    try:
        done = subprocess.run([*command, "--version"], check=True, timeout=60, **_CAPTURED)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{' '.join(command)} does not run: {error}") from None
    return done.stdout


def cache_folder() -> Path:
    """Where built libraries lie: `$FLOSS_CACHE`, else `floss` in the user's cache folder."""
    if folder := os.environ.get("FLOSS_CACHE"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "floss"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "floss"


def cache_folders() -> list[Path]:
    """Where libraries are looked for, and built in the first that can be written.

    Where no folder is asked for and the user's own cannot be written, as in a container, it is one of the user among
    the temporary files, of which no other user may have made it.
    """
    folders = [cache_folder()]
    if not os.environ.get("FLOSS_CACHE") and hasattr(os, "getuid"):
        further = Path(tempfile.gettempdir()) / f"floss-{os.getuid()}"
        try:
            state = further.lstat()
            safe = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022
        except FileNotFoundError:
            safe = True
        except OSError:
            safe = False
        folders += [further] if safe else []
    return folders


def built(source: Path, instructions: str, *, notice: str = "") -> Path:
    """The library of a source and the headers beside it; compiled before, where this has not been done yet.

    Args:
        source: a C++ file that includes all that it needs.
        instructions: one of INSTRUCTION_SETS.
        notice: what is being built, for a line on the screen while it is; nothing is said of what takes no time.

    Raises:
        BuildError: no compiler, or it does not compile, or the cache folder cannot be written.
    """
    command, name = _command(), _name(_files(source), instructions)
    folders = cache_folders()
    if there := _found(name):
        return there
    reasons = []
    for folder in folders:
        target = folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(folder / "build.lock"):  # another process may be building the same
                if not _whole(target):
                    if notice:
                        again = " again, since it is damaged" if target.exists() else ""
                        LOGGER.warning("building %s (%s)%s, once, into %s", notice, instructions, again, folder)
                    _compile(command, source, instructions, target)
            return target
        except OSError as error:
            reasons.append(f"cannot write to {folder}: {error.strerror or error}")
    raise BuildError(reasons[0])


def _found(name: str) -> Path | None:
    """The library of this name where it has been built."""
    return next((folder / name for folder in cache_folders() if _whole(folder / name)), None)


def _command() -> tuple[str, ...]:
    """The compiler.

    Raises:
        BuildError: there is none.
    """
    command = compiler()
    if command is None:
        wanted = f"CXX={os.environ['CXX']}" if os.environ.get("CXX", "").strip() else ", ".join(_COMPILERS)
        raise BuildError(f"no C++ compiler ({wanted}) on the path")
    return command


def _files(source: Path) -> dict[str, bytes]:
    """What a source is, and the headers beside it, by their names; the source first."""
    return {file.name: file.read_bytes() for file in (source, *sorted(source.parent.glob("*.h")))}


def _name(files: Mapping[str, bytes], instructions: str) -> str:
    """Name of the library of a source for this machine."""
    command = _command()
    key = hashlib.sha256()
    for name, content in files.items():
        _add(key, name.encode(), content)
    recipe = (version(command), " ".join(options(instructions)), sys.platform, platform.machine(), *command[1:])
    _add(key, *(part.encode() for part in recipe))
    return f"{Path(next(iter(files))).stem}-{instructions.lower()}-{key.hexdigest()[:12]}.so"


def text_beside(module: str, *names: str) -> str:
    """The text of C++ files in the folder `cpp` beside a module, whose `__file__` this is."""
    return "\n".join((Path(module).parent / "cpp" / name).read_text(encoding="utf-8") for name in names)


def built_text(text: str, name: str, instructions: str, *, build: bool = True) -> Path | None:
    """The library of a source that a program wrote; None where it is not built yet and is not to be.

    Args:
        text: C++ that includes nothing of its own.
        name: first part of the library's name.
        instructions: one of INSTRUCTION_SETS.
        build: whether to build it now.

    Raises:
        BuildError: as `built`.
    """
    file = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.cpp"
    there = _found(_name({file: text.encode()}, instructions))
    if there or not build:  # every analysis asks, and a folder for the source would take longer than many of them
        return there
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / file
        source.write_text(text, encoding="utf-8")
        return built(source, instructions)


def load(path: Path, *functions: str) -> ctypes.CDLL:
    """A library that was built for this machine.

    Args:
        path: of the library.
        functions: which it must have.

    Raises:
        BuildError: it cannot be loaded, or is another one.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"{path} cannot be loaded: {error}") from None
    for name in functions:
        if not hasattr(library, name):
            raise BuildError(f"{path} has no function {name}: the compiler made something else of the source")
    return library


def _add(key: "hashlib._Hash", *parts: bytes) -> None:
    for part in parts:
        key.update(hashlib.sha256(part).digest())


def _whole(path: Path) -> bool:
    """Whether a library is the one that was built: a part of one would end the process that loads it."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == _digest_of(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False


def _digest_of(path: Path) -> Path:
    """The file beside a library that has its SHA-256."""
    return path.with_suffix(".sha256")


def _compile(command: tuple[str, ...], source: Path, instructions: str, target: Path) -> None:
    """Aside, then renamed: one that is cut short leaves no library."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        out = Path(scratch) / "library.so"
        arguments = [*command, *options(instructions), str(source), "-o", str(out)]
        done = subprocess.run(arguments, check=False, **_CAPTURED)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            raise BuildError(f"{' '.join(command)} fails: {lines[0].strip() if lines else f'status {done.returncode}'}")
        if not out.is_file() or not out.stat().st_size:  # as `true` does, which is no compiler
            raise BuildError(f"{' '.join(command)} writes no library, and says that it has")
        digest = Path(scratch) / "digest"
        digest.write_text(hashlib.sha256(out.read_bytes()).hexdigest() + "\n", encoding="ascii")
        digest.replace(_digest_of(target))
        out.replace(target)
