"""The house: imports point one way, without circles, and no room is too large."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sklearn_cce

ROOT = Path(sklearn_cce.__file__).parent

FLOORS = [
    {"_checks", "_version"},
    {"losses", "pseudo_labels", "views"},
    {"metrics", "model_selection", "modules"},
    {"_training", "inspection"},
    {"_graph"},
    {"_base"},
    {"_classifier", "_clusterer"},
    {"__init__"},
]
"""The rooms of the house, from the ground up; a room uses those below its floor."""

MOST_ROOMS, MOST_LINES = 15, 450


def modules():
    """Return the file of every module, by name."""
    files = {}
    for file in sorted(ROOT.rglob("*.py")):
        name = ".".join([ROOT.name, *file.relative_to(ROOT).with_suffix("").parts])
        files[name.removesuffix(".__init__")] = file
    return files


MODULES = modules()


def imported(name):
    """Yield the modules of the package that a module imports, wherever in it."""
    file = MODULES[name]
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(above if node.level else [])
            base = ".".join(filter(None, [base, node.module]))
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from ({n if n in MODULES else base for n in names} & set(MODULES))


def room(name):
    """Return the room that a module belongs to."""
    return name.split(".")[1] if "." in name else "__init__"


def code_lines(file):
    """Return the number of lines that are neither blank nor of a docstring."""
    text = file.read_text(encoding="utf-8")
    lines = {i for i, line in enumerate(text.splitlines(), 1) if line.strip()}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def test_every_room_has_a_floor_and_there_are_few():
    rooms = {room(name) for name in MODULES}
    assert rooms == set().union(*FLOORS)
    assert len(rooms) <= MOST_ROOMS


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_to_lower_floors(name):
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    for other in imported(name):
        if room(other) != room(name):
            assert floors[room(other)] < floors[room(name)], f"{name} uses {other}"


def test_there_is_no_circle():
    uses = {name: set(imported(name)) - {name} for name in MODULES}
    assert len(list(TopologicalSorter(uses).static_order())) == len(MODULES)


def test_only_users_solve_to_a_certificate():
    solve = "sklearn_cce.pseudo_labels._solve"
    users = {name for name in MODULES if solve in imported(name)}
    assert users == {"sklearn_cce.pseudo_labels"}


def test_displays_use_only_what_users_can():
    for name in MODULES:
        if room(name) == "inspection":
            used = {room(other) for other in imported(name)} - {"inspection"}
            assert used <= {"_checks", "metrics", "model_selection"}


@pytest.mark.parametrize("name", MODULES)
def test_no_file_is_long(name):
    assert code_lines(MODULES[name]) <= MOST_LINES
