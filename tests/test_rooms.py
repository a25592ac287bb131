"""The rooms: what each may import, and what may stand nowhere in the sources; read from the syntax trees."""

import ast
import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "floss").rglob("*.py"))

CORE = {"lyapunov", "networks", "tasks", "training", "random"}
BELOW_COMMANDS = {*CORE, "errors", "runtime", "jobs", "sweep", "analysis", "bench", "memory", "figures", "papers"}
# What a room may import from others, `room` or `room.module`.
MAY_IMPORT: dict[str, set[str]] = {
    "random": set(),
    "errors": set(),
    "lyapunov": {"random"},
    "tasks": {"random"},
    "networks": {"lyapunov", "random"},
    "training": {"networks", "lyapunov", "tasks", "random"},
    "runtime": {"errors"},
    "jobs": {"errors", "runtime", *CORE},
    "sweep": {"jobs", "runtime", "training", "errors"},
    "runs": {"sweep", "jobs", "runtime", "errors", *CORE},
    "analysis": {"jobs", "runtime", "errors", *CORE},
    "bench": {"jobs", "runtime", "errors", *CORE},
    "memory": {"jobs", "runtime", "errors", *CORE},
    "figures": {"runtime.files", "training.schedule"},
    "callbacks": {"runtime", "errors", *CORE},
    "papers": BELOW_COMMANDS - {"papers"},
    "commands": BELOW_COMMANDS,
}
# jobs answers --help without torch: it imports the core inside functions alone.
INSIDE_FUNCTIONS = {"jobs": CORE}
WITHIN = {"analysis.bench": "bench", "training.user_network.callbacks": "callbacks"}
"""Rooms that lie in the folder of another, and have rules of their own."""
FILES = 4
"""Modules beside the rooms: the public names, random numbers, errors, and results read back."""
FOLDERS = 12

NOT_IN_CORE = {"hydra", "omegaconf", "matplotlib", "pandas", "tqdm", "filelock"}
FILE_MODULES = {"os", "io", "pathlib", "shutil", "tempfile", "csv", "json", "pickle", "subprocess", "sys"}
NATIVE_BUILD = {f"floss/training/engines/{name}.py" for name in ("processor", "shared_library")}
NATIVE_BUILD |= {"floss/lyapunov/compiler.py", "floss/networks/rate/compiled_chain.py"}
"""Building compiled code reads and writes files, unlike the rest of the core."""
NEVER = ("_target_", "instantiate(", "experimental-rerun", "experimental_rerun")
PLUGIN = """{"_target_": f"{PLUGINS}.{_class}", **_more}"""
"""Hydra's own protocol for plugins, the one place where a class is named by a text."""
INSTALLED_AS = {"floss.commands.hydra_plugin": "hydra_plugins.floss"}
"""Folders that are not the package of their own name: Hydra looks for plugins in `hydra_plugins` alone."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """Dotted name of a source file below `floss`."""
    return ".".join(path.relative_to(ROOT / "floss").with_suffix("").parts)


def room_and_rest(module: str) -> tuple[str, str]:
    """Room of a module below `floss`, and what of its name follows."""
    for place, room in WITHIN.items():
        if f"{module}.".startswith(f"{place}."):
            return room, module[len(place) + 1 :]
    room, _, rest = module.partition(".")
    return room, rest


def room_of(path: Path) -> str:
    """Room of a source file."""
    return room_and_rest(module_of(path))[0]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, inside_functions: bool = True) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports; imports for types alone are none."""
    stack: list[ast.AST] = [tree(path)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        stack += ast.iter_child_nodes(node)


def rooms_of(path: Path, **where: bool) -> Iterator[tuple[int, str, str]]:
    """Line, room and module of every import from another room."""
    for line, name in imports(path, **where):
        if not name.startswith("floss."):
            continue
        room, rest = room_and_rest(name.removeprefix("floss."))
        if room != room_of(path):
            yield line, room, ".".join([room, *rest.split(".")[:1]]).rstrip(".")


def files_of(room: str) -> list[Path]:
    return [path for path in SOURCES if room_of(path) == room]


def calls(path: Path, *, of_objects: bool = True) -> set[str]:
    """Names of functions that a file calls, without their objects."""
    called = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {f.id for f in called if isinstance(f, ast.Name)}
    return names | ({f.attr for f in called if isinstance(f, ast.Attribute)} if of_objects else set())


def core_files() -> list[Path]:
    return [path for path in SOURCES if room_of(path) in CORE]


def test_the_listing_is_short():
    entries = [path for path in (ROOT / "floss").iterdir() if path.name != "__pycache__"]
    assert {room_of(path) for path in SOURCES} - {"__init__"} == MAY_IMPORT.keys()
    assert sum(path.is_dir() for path in entries) <= FOLDERS
    assert sum(path.suffix == ".py" for path in entries) <= FILES


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_it_may(room):
    wrong = [
        f"{name_of(path)}:{line} imports {module}"
        for path in files_of(room)
        for line, other, module in rooms_of(path)
        if not {other, module} & MAY_IMPORT[room]
    ]
    assert not wrong, f"{room} may import {', '.join(sorted(MAY_IMPORT[room])) or 'nothing'}: {'; '.join(wrong)}"


@pytest.mark.parametrize("room", INSIDE_FUNCTIONS)
def test_what_takes_time_is_imported_inside_functions(room):
    wrong = [
        f"{name_of(path)}:{line} imports {module}"
        for path in files_of(room)
        for line, other, module in rooms_of(path, inside_functions=False)
        if other in INSIDE_FUNCTIONS[room]
    ]
    assert not wrong, "; ".join(wrong)


def test_rooms_import_each_other_in_no_circle():
    left = {room: {name.split(".")[0] for name in others} for room, others in MAY_IMPORT.items()}
    while free := {room for room, others in left.items() if not others & left.keys()}:
        for room in free:
            del left[room]
    assert not left, f"in a circle: {sorted(left)}"


def test_modules_import_each_other_in_no_circle():
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in SOURCES}
    left = {}
    for name, path in names.items():
        wanted = {module for _, module in imports(path, inside_functions=False)}
        wanted |= {module.rpartition(".")[0] for module in wanted}
        left[name] = (wanted & names.keys()) - {name, "floss"}
        left[name] -= {package for package in left[name] if name.startswith(f"{package}.")}  # is imported before it
    while free := {name for name, others in left.items() if not others & left.keys()}:
        for name in free:
            del left[name]
    assert not left, f"in a circle, or behind one: {sorted(left)}"


def test_papers_do_not_know_each_other():
    papers = {path.parent.name for path in (ROOT / "floss" / "papers").glob("*/__init__.py")} - {"report"}
    assert papers
    for path in files_of("papers"):
        own = path.relative_to(ROOT / "floss" / "papers").parts[0]
        for line, name in imports(path):
            if name.startswith("floss.papers.") and (other := name.split(".")[2]) in papers:
                assert other == own, f"{name_of(path)}:{line} imports {name}"


def test_nobody_imports_the_public_names():
    """They are for users; inside, a name is imported from where it is defined."""
    public = {name for name in (ROOT / "floss" / "__init__.py").read_text().split('"') if name.isidentifier()}
    modules = {room_of(path) for path in SOURCES}
    for path in SOURCES:
        wrong = [name for _, name in imports(path) if name in {f"floss.{word}" for word in public - modules}]
        assert room_of(path) == "__init__" or not wrong, f"{name_of(path)} imports {wrong}"


@pytest.mark.parametrize("path", core_files(), ids=name_of)
def test_the_core_knows_of_no_file_and_no_screen(path):
    top = {name.split(".")[0] for _, name in imports(path)}
    if name_of(path) in NATIVE_BUILD:
        assert not top & (NOT_IN_CORE - {"filelock"})
        return
    assert not top & (NOT_IN_CORE | FILE_MODULES)
    assert not calls(path) & {"open", "print", "save", "load_state_dict", "tofile", "fromfile"}
    assert "input" not in calls(path, of_objects=False)  # the input of a step is another thing


def test_figures_need_no_torch():
    for path in files_of("figures"):
        assert not {name.split(".")[0] for _, name in imports(path)} & {"torch", "hydra", "tqdm"}, path


def test_who_knows_hydra():
    """Reading options, composing and running: nobody else."""
    knowing = {name_of(path) for path in SOURCES if any(n.split(".")[0] == "hydra" for _, n in imports(path))}
    assert knowing == {
        "floss/jobs/options.py",
        "floss/jobs/compose.py",
        "floss/commands/hydra_app.py",
        "floss/commands/hydra_plugin/__init__.py",
    }


@pytest.mark.parametrize("word", NEVER)
def test_what_hydra_must_not_be_asked(word):
    for path in [*SOURCES, *(ROOT / "conf").rglob("*.yaml"), *(ROOT / "conf").rglob("*.py")]:
        text = path.read_text()
        if word == "_target_" and name_of(path) == "floss/jobs/compose.py":
            assert text.count(PLUGIN) == 1
            text = text.replace(PLUGIN, "")
        assert word not in text, path


def test_no_code_is_made_from_text_or_pickles():
    for path in SOURCES:
        assert not calls(path) & {"eval", "exec", "__import__"}, path
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads"):
                assert "weights_only=True" in ast.unparse(node), path


@pytest.mark.parametrize("path", core_files(), ids=name_of)
def test_what_is_public_has_a_docstring(path):
    assert ast.get_docstring(tree(path))
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_folder_is_imported_by_a_name_that_it_is_not_installed_as(path):
    """It would work in a checkout, and not in a wheel."""
    assert not [name for _, name in imports(path) if name.startswith(tuple(INSTALLED_AS))]


def test_the_package_list_has_every_folder():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    floss = {path.parent.relative_to(ROOT) for path in SOURCES}
    conf = {"floss" / path.parent.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    names = [str(path).replace("/", ".") for path in floss | conf]
    assert sorted(listed) == sorted(INSTALLED_AS.get(name, name) for name in names)


TEXTS = {"read_text", "write_text"}


def reads_or_writes_text(call: ast.Call) -> bool:
    """Whether a call reads or writes a file as text, or what another program says."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg for keyword in call.keywords}
    values = [a.value for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Constant)]
    of_os = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") in ("os", "webbrowser")
    opened = name == "open" and not of_os and not any(value in ("rb", "wb", "ab") for value in values)
    return name in TEXTS or opened or bool(given & {"text", "universal_newlines"})


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "scripts").glob("*.py"))], ids=name_of)
def test_texts_of_files_and_programs_are_utf_8_whatever_the_locale_is(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and reads_or_writes_text(node) and ast.unparse(node.func) not in ("key", "Check"):
            given = {keyword.arg for keyword in node.keywords}
            assert "encoding" in given, f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}"
