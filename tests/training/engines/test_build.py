"""Building C++ sources: once, safely, for this machine alone; and the structs that C++ and Python share."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from floss.lyapunov import compiler as build
from floss.lyapunov.compiler import BuildError, built, load
from floss.training import engines
from floss.training.engines import calls, processor
from floss.training.engines.call_arguments import NAMES
from floss.training.engines.shared_library import library

needs_compiler = pytest.mark.skipif(engines.compiler() is None, reason="no C++ compiler")


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("FLOSS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path) -> Path:
    """A source with a header, which is quick to build."""
    path = tmp_path / "sources" / "quick.cpp"
    path.parent.mkdir()
    path.write_text('#include "value.h"\nextern "C" int value() { return VALUE; }\n')
    path.with_name("value.h").write_text("#define VALUE 17\n")
    return path


def libraries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.so"))


# --- once, and for one machine ---------------------------------------------------------------------------------------


@needs_compiler
def test_it_is_built_once(cache, source, capsys):
    path = built(source, "PORTABLE", notice="something")
    assert capsys.readouterr().err == f"floss: building something (PORTABLE), once, into {cache}\n"
    before = path.stat().st_mtime_ns
    assert built(source, "PORTABLE", notice="something") == path
    assert capsys.readouterr().err == ""
    assert path.stat().st_mtime_ns == before
    assert {file.name for file in cache.iterdir()} == {path.name, f"{path.stem}.sha256", "build.lock"}
    assert load(path).value() == 17


@needs_compiler
def test_what_is_quickly_built_is_built_in_silence(cache, source, capsys):
    built(source, "PORTABLE")
    assert capsys.readouterr().err == ""


def other_source(source, patch):
    source.write_text(source.read_text() + "\n")


def other_header(source, patch):
    source.with_name("value.h").write_text("#define VALUE 18\n")


def other_compiler(source, patch):
    patch.setattr(build, "version", lambda command: "another compiler")


def other_options(source, patch):
    patch.setattr(build, "_COMMON", (*build._COMMON, "-DOTHER"))


def other_system(source, patch):
    patch.setattr(sys, "platform", "plan9")


@needs_compiler
@pytest.mark.parametrize("change", [other_source, other_header, other_compiler, other_options, other_system])
def test_whatever_changes_gives_another_library(cache, source, change):
    first = built(source, "PORTABLE")
    with pytest.MonkeyPatch.context() as patch:
        change(source, patch)
        second = built(source, "PORTABLE")
    assert sorted((first.name, second.name)) == libraries(cache)
    assert first != second


@needs_compiler
def test_the_name_says_which_instructions_it_needs(cache, source):
    for instructions in build.INSTRUCTION_SETS:  # built, not loaded
        assert re.fullmatch(f"quick-{instructions.lower()}-[0-9a-f]{{12}}", built(source, instructions).stem)
    assert len(libraries(cache)) == 3


def test_no_source_is_left_out_of_the_hash():
    """Everything that the native engine includes lies beside it, and nothing lies there that it does not include."""
    waiting, included = [f"{arch}.cpp" for arch in NAMES], set()
    while waiting:
        text = (processor.SOURCES / waiting.pop()).read_text()
        new = set(re.findall('^#include "(.*)"$', text, re.MULTILINE)) - included
        included |= new
        waiting += new
    assert included == {path.name for path in processor.SOURCES.glob("*.h")}


@needs_compiler
def test_processes_that_start_together_build_once(tmp_path, source):
    code = f"""
from pathlib import Path
from floss.lyapunov import compiler as build
compile = build._compile
def slowly(*arguments):
    import time
    time.sleep(1)
    compile(*arguments)
build._compile = slowly
print(build.load(build.built(Path({str(source)!r}), "PORTABLE", notice="it")).value())
"""
    environment = {**os.environ, "FLOSS_CACHE": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=-1, stderr=-1, text=True)
        for _ in range(3)
    ]
    printed, said = zip(*(process.communicate(timeout=300) for process in processes), strict=True)
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert printed == ("17\n",) * 3
    assert "".join(said).count("building it") == 1
    assert len(libraries(tmp_path)) == 1


# --- what can go wrong -----------------------------------------------------------------------------------------------


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Sets a compiler that does what a shell script does; `$out` is where it should write."""

    def use(script: str) -> Path:
        path = tmp_path / "another-c++"
        path.write_text(f"#!/bin/sh\n[ $1 = --version ] && exit\nfor out; do :; done\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))
        return path

    return use


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo In file: >&2; echo 'x.cpp:3: error: no such thing' >&2; exit 1", r"x\.cpp:3: error: no such thing"),
        ("echo 'no memory' >&2; exit 4", "no memory"),
        ("exit 4", "status 4"),
        ("kill -9 $$", f"status -{int(signal.SIGKILL)}"),
    ],
)
def test_a_build_that_fails_or_is_cut_short_leaves_nothing(cache, source, compiler, monkeypatch, script, reason):
    path = compiler(f"echo half a library > $out; {script}")
    with pytest.raises(BuildError, match=f"^{re.escape(str(path))} fails: {reason}$"):
        built(source, "PORTABLE")
    assert {file.name for file in cache.iterdir()} == {"build.lock"}


@pytest.mark.parametrize("script", ["true", ": > $out", "mkdir $out"])
def test_a_compiler_that_writes_nothing_and_says_that_all_is_well(cache, source, compiler, script):
    path = compiler(script)
    with pytest.raises(BuildError, match=f"^{re.escape(str(path))} writes no library, and says that it has$"):
        built(source, "PORTABLE")
    assert {file.name for file in cache.iterdir()} == {"build.lock"}


@needs_compiler
def test_a_library_of_something_else(cache, source):
    path = built(source, "PORTABLE")
    with pytest.raises(BuildError, match=f"^{re.escape(str(path))} has no function floss_train: "):
        load(path, "value", "floss_train")


@needs_compiler
def test_after_a_process_that_was_killed_while_it_built(cache, source):
    code = f"""
import os, signal
from pathlib import Path
from floss.lyapunov import compiler as build
run = build.subprocess.run
def killed(command, **how):
    done = run(command, **how)
    if "-o" in command:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
build.subprocess.run = killed
build.built(Path({str(source)!r}), "PORTABLE")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert libraries(cache) == []
    assert load(built(source, "PORTABLE")).value() == 17


def test_a_compiler_that_is_not_there(cache, source, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildError, match=r"^no C\+\+ compiler \(CXX=no-such-compiler\) on the path$"):
        built(source, "PORTABLE")


def test_a_compiler_that_does_not_run(cache, source, compiler):
    path = compiler("")
    path.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(BuildError, match=f"^{re.escape(str(path))} does not run: "):
        built(source, "PORTABLE")


@needs_compiler
@pytest.mark.parametrize("words", ["{} -O2", "env {}", " {}", "env  {} -DX='1 2'"])
def test_a_compiler_may_have_arguments(cache, source, monkeypatch, words):
    plain = " ".join(build.compiler() or ())
    without = built(source, "PORTABLE")
    monkeypatch.setenv("CXX", words.format(plain))
    path = built(source, "PORTABLE")
    assert load(path).value() == 17
    assert (path == without) == (words == " {}")  # arguments are a part of how it is built


def test_a_compiler_with_a_space_in_its_path(cache, source, monkeypatch, tmp_path):
    path = tmp_path / "my compiler"
    path.write_text("#!/bin/sh\n[ $1 = --version ] && exit\nfor out; do :; done\necho library > $out\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    assert built(source, "PORTABLE").read_text() == "library\n"


def test_a_compiler_whose_quotation_marks_do_not_match(cache, source, monkeypatch):
    monkeypatch.setenv("CXX", "g++ '-O2")
    with pytest.raises(BuildError, match=r"^no C\+\+ compiler \(CXX=g\+\+ '-O2\) on the path$"):
        built(source, "PORTABLE")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def changed(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def emptied(path):
    path.write_bytes(b"")


def without_digest(path):
    path.with_suffix(".sha256").unlink()


@needs_compiler
@pytest.mark.parametrize("damage", [half, changed, emptied, without_digest])
def test_a_damaged_library_is_built_again_before_it_is_loaded(cache, source, capsys, damage):
    path = built(source, "PORTABLE")
    damage(path)
    assert built(source, "PORTABLE", notice="it") == path
    said = f"floss: building it (PORTABLE) again, since it is damaged, once, into {cache}\n"
    assert capsys.readouterr().err == said
    assert load(path).value() == 17


@needs_compiler
def test_a_whole_library_is_found_in_a_cache_that_cannot_be_written(cache, source, monkeypatch):
    path = built(source, "PORTABLE")
    monkeypatch.setattr(build, "FileLock", None)  # nothing is locked or made
    monkeypatch.setattr(Path, "mkdir", None)
    assert built(source, "PORTABLE") == path


@needs_compiler
def test_where_the_home_cannot_be_written_it_is_built_among_the_temporary_files(source, monkeypatch, tmp_path):
    monkeypatch.delenv("FLOSS_CACHE", raising=False)
    (tmp_path / "home").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(build.tempfile, "gettempdir", lambda: str(tmp_path))
    path = built(source, "PORTABLE")
    assert path.parent == tmp_path / f"floss-{os.getuid()}"
    assert path.parent.stat().st_mode & 0o077 == 0
    assert load(path).value() == 17
    path.parent.chmod(0o777)  # any user could put a library there
    with pytest.raises(BuildError, match=f"^cannot write to {tmp_path}/home/floss: "):
        built(source, "PORTABLE")


@needs_compiler
def test_a_cache_folder_that_cannot_be_written(cache, source):
    cache.write_text("a file, not a folder")
    with pytest.raises(BuildError, match=f"^cannot write to {cache}: "):
        built(source, "PORTABLE")


def test_a_library_that_cannot_be_loaded(tmp_path):
    path = tmp_path / "native-portable-0123456789ab.so"
    path.write_bytes(b"not a library")
    with pytest.raises(BuildError, match=f"^{path} cannot be loaded: "):
        load(path)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"FLOSS_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/floss"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/d"}, "/home/d/.cache/floss"),
    ],
)
def test_where_it_lies(monkeypatch, variables, folder):
    monkeypatch.setattr(sys, "platform", "linux")  # macOS has another folder
    monkeypatch.delenv("FLOSS_CACHE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert build.cache_folder() == Path(folder)


def test_where_it_lies_on_macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("FLOSS_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/Users/d")
    assert build.cache_folder() == Path("/Users/d/Library/Caches/floss")


# --- the structs -----------------------------------------------------------------------------------------------------


def altered(call: type[ctypes.Structure], change) -> type[ctypes.Structure]:
    """A struct of the same name with other fields."""
    return type(call.__name__, (ctypes.Structure,), {"_fields_": change(list(call._fields_))})


def swapped(fields):
    """Two fields of one type, which no size and no offset would show."""
    fields[2], fields[3] = fields[3], fields[2]
    return fields


def shorter(fields):
    return fields[:-1]


def longer(fields):
    return [*fields, ("more", ctypes.c_int64)]


def narrower(fields):
    return [(fields[0][0], ctypes.c_int32), *fields[1:]]


@needs_compiler
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("TrainCall", swapped, "TrainCall.batch has (offset, size) (16, 8) in calls.py and (24, 8) in calls.h"),
        ("TrainCall", shorter, "TrainCall has (offset, size) (0, 528) in calls.py and (0, 536) in calls.h"),
        ("FlossCall", longer, "FlossCall.more has (offset, size) (400, 8) in calls.py and None in calls.h"),
        ("FlossCall", narrower, "FlossCall.networks has (offset, size) (0, 4) in calls.py and (0, 8) in calls.h"),
    ],
)
def test_structs_that_differ_are_refused(monkeypatch, name, change, said):
    functions = library("vanilla")
    calls.check_layouts(functions)
    monkeypatch.setattr(calls, name, altered(getattr(calls, name), change))
    with pytest.raises(RuntimeError, match=f"^{re.escape(said)}$"):
        calls.check_layouts(functions)


@needs_compiler
def test_they_are_compared_when_the_library_is_loaded(monkeypatch):
    monkeypatch.setattr(calls, "TrainCall", altered(calls.TrainCall, swapped))
    with pytest.raises(RuntimeError, match=r"in calls\.h$"):
        library.__wrapped__("vanilla")


@needs_compiler
def test_a_text_that_is_built_is_found_without_a_file(cache, monkeypatch):
    """Every analysis asks: making and removing a folder for the source took longer than some of them."""
    text = 'extern "C" int value() { return 17; }\n'
    assert build.built_text(text, "quick", "PORTABLE", build=False) is None
    path = build.built_text(text, "quick", "PORTABLE")
    assert path is not None
    assert (path.parent, load(path, "value").value()) == (cache, 17)
    monkeypatch.setattr(build.tempfile, "TemporaryDirectory", lambda *_, **__: pytest.fail("a folder is made"))
    assert build.built_text(text, "quick", "PORTABLE") == path
    assert build.built_text(text.replace("17", "18"), "quick", "PORTABLE", build=False) is None
