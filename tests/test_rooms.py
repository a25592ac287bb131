"""The import arrows of the design, and what may stand nowhere in the sources; read from the syntax trees."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "floss").rglob("*.py"))

# From the bottom to the top. A module imports from its own layer and from those below it.
# The numerical core lies at the bottom, so it knows of nothing around it. A new module goes into the lowest layer that
# lies above all that it imports.
CORE_LAYERS = (
    "random qr_decomposition activation schedule dimension",
    "orthonormalisation jacobian bptt adam",
    "lyapunov reduced_adjoint rate_spectrum flow",
    "cells tasks history covariant condition exact_condition",
    "modules flossing diagnostics ensemble",
    "torch_engine",
    "training",
)
OUTER_LAYERS = (
    "keys interrupt results packing engines",
    "memory checkpoint figures slurm device progress",
    "config",
    "planner analysis bench",
    "store help",
    "experiment compose",
    "views resources",
    "outcome forecast",
    "sweep",
    "hydra_plugin train_commands paper",
    "cli",
)
LAYERS = tuple(set(layer.split()) for layer in CORE_LAYERS + OUTER_LAYERS)
CORE = set(" ".join(CORE_LAYERS).split())
NOT_IN_CORE = {"hydra", "omegaconf", "matplotlib", "pandas", "tqdm", "filelock"}
FILES = {"os", "io", "pathlib", "shutil", "tempfile", "csv", "json", "pickle", "subprocess", "sys", "logging"}
NEVER = ("_target_", "instantiate(", "experimental-rerun", "experimental_rerun")
PLUGIN = """{"_target_": f"{PLUGINS}.{_class}", **_more}"""
"""Hydra's own protocol for plugins, the one place where a class is named by a text."""
INSTALLED_AS = {"floss.commands.hydra_plugin": "hydra_plugins.floss"}
"""Folders that are not the package of their own name: Hydra looks for plugins in `hydra_plugins` alone."""


def module_of(path: Path) -> str:
    """First name below `floss` of a source file."""
    return path.relative_to(ROOT / "floss").parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def calls(path: Path) -> set[str]:
    """Names of functions that a file calls, without their objects."""
    called = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {f.attr if isinstance(f, ast.Attribute) else f.id for f in called if isinstance(f, ast.Attribute | ast.Name)}


def bare_calls(path: Path) -> set[str]:
    """Names that a file calls as they are: builtins, and functions and classes of its own or imported."""
    called = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {f.id for f in called if isinstance(f, ast.Name)}


def core_files() -> list[Path]:
    return [path for path in SOURCES if module_of(path) in CORE]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_has_a_layer():
    assert set().union(*LAYERS) == {module_of(path) for path in SOURCES} - {"__init__"}
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_downwards(path):
    if module_of(path) == "__init__":
        return
    (level,) = (i for i, layer in enumerate(LAYERS) if module_of(path) in layer)
    below = set().union(*LAYERS[: level + 1])
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("floss.")}
    assert ours <= below


@pytest.mark.parametrize("path", core_files(), ids=name_of)
def test_the_core_knows_of_no_file_and_no_screen(path):
    top = {name.split(".")[0] for name in imports(path)}
    assert not top & (NOT_IN_CORE | FILES)
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("floss.")}
    assert ours <= CORE
    assert not calls(path) & {"open", "print", "save", "load_state_dict", "tofile", "fromfile"}
    assert "input" not in bare_calls(path)  # the input of a step is another thing


def test_figures_read_results_only():
    for path in SOURCES:
        if module_of(path) == "figures":
            assert not {name.split(".")[0] for name in imports(path)} & {"torch", "hydra", "tqdm"}, path
            ours = {name.split(".")[1] for name in imports(path) if name.startswith("floss.")}
            assert ours <= {"figures", "results", "schedule"}, path


def test_only_two_modules_know_hydra():
    assert {module_of(path) for path in SOURCES if any(n.split(".")[0] == "hydra" for n in imports(path))} == {
        "compose",
        "hydra_plugin",
    }


@pytest.mark.parametrize("word", NEVER)
def test_what_hydra_must_not_be_asked(word):
    for path in [*SOURCES, *(ROOT / "conf").rglob("*.yaml"), *(ROOT / "conf").rglob("*.py")]:
        text = path.read_text()
        if word == "_target_" and name_of(path) == "floss/compose.py":
            assert text.count(PLUGIN) == 1
            text = text.replace(PLUGIN, "")
        assert word not in text, path


def test_no_code_is_made_from_text_or_pickles():
    for path in SOURCES:
        assert not calls(path) & {"eval", "exec", "__import__"}, path
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads"):
                assert "weights_only=True" in ast.unparse(node), path


@pytest.mark.parametrize("path", core_files(), ids=name_of)
def test_what_is_public_has_a_docstring(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_folder_is_imported_by_a_name_that_it_is_not_installed_as(path):
    """It would work in a checkout, and not in a wheel."""
    assert not [name for name in imports(path) if name.startswith(tuple(INSTALLED_AS))]


def test_the_package_list_has_every_folder():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    floss = {path.parent.relative_to(ROOT) for path in SOURCES}
    conf = {"floss" / path.parent.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    names = [str(path).replace("/", ".") for path in floss | conf]
    assert sorted(listed) == sorted(INSTALLED_AS.get(name, name) for name in names)
