"""The arrows of the architecture: which top-level package may import which.

Tests are held to less, since a component's test may drive it with the simulation harness, or compare it with
the golden model: they may import all but the command line.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARROWS = {
    "models": set(),
    "hw": set(),
    "compiler": {"models", "hw"},
    "host": {"hw", "compiler"},
    "boards": {"models", "hw", "compiler", "host"},
    "sim": {"models", "hw", "compiler", "host", "boards"},
    "bench": {"models", "hw", "compiler", "host", "boards", "sim"},
    "cli": {"models", "hw", "compiler", "host", "boards", "sim", "bench"},
}
"""For each top-level package, the others that it may import."""

NOT_SOURCE = {"build", "docs", "setup"}
"""Folders without packages."""


def rooms() -> list[str]:
    """Top-level folders that hold Python files."""
    folders = (path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path.name for path in folders if path.name not in NOT_SOURCE and any(path.rglob("*.py")))


def imported(source: str) -> set[str]:
    """The top-level names that a module's source imports; relative imports stay inside, and are left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def forbidden(path: Path, source: str) -> set[str]:
    """The top-level packages that module ``path`` (from the root) imports against the arrows."""
    room = path.parts[0]
    allowed = ARROWS[room] | {room}
    if "tests" in path.parts:
        allowed = allowed | ARROWS["bench"] | {"bench"}
    return imported(source) & ARROWS.keys() - allowed


@pytest.mark.parametrize("room", rooms())
def test_every_import_follows_an_arrow(room):
    assert room in ARROWS, f"{room}/ is not in the architecture: say in ARROWS what it may import"
    faults = []
    for path in sorted((ROOT / room).rglob("*.py")):
        wrong = forbidden(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
        faults += [f"{path.relative_to(ROOT)} imports {name}" for name in sorted(wrong)]
    assert not faults, "\n".join(faults)


def test_only_training_imports_pytorch():
    """It is large, and installed only to train."""
    importers = {
        path.relative_to(ROOT).parts[:2]
        for room in rooms()
        for path in (ROOT / room).rglob("*.py")
        if "torch" in imported(path.read_text(encoding="utf-8"))
    }
    assert importers == {("models", "training")}


def test_the_arrows_have_no_cycle():
    rest = dict(ARROWS)
    while rest:
        free = [room for room, allowed in rest.items() if not allowed & rest.keys()]
        assert free, f"a cycle among {sorted(rest)}"
        for room in free:
            del rest[room]


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("hw/mac/array.py", "from models.errors import SkipstoneError", {"models"}),
        ("models/network.py", "def f():\n    import hw.config as c, sim", {"hw", "sim"}),
        ("boards/build.py", "import sim.harness", {"sim"}),
        (
            "compiler/plan.py",
            "import numpy\nfrom hw import config\nfrom . import tiling\nimport compiler.plan",
            set(),
        ),
        ("hw/tests/test_array.py", "from sim.harness import runner\nimport models", set()),
        ("hw/tests/test_array.py", "from cli.main import app", {"cli"}),
        ("sim/run.py", "from cli import main", {"cli"}),
    ],
)
def test_an_import_against_an_arrow_is_found(path, source, wrong):
    assert forbidden(Path(path), source) == wrong
