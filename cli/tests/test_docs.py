"""The manual: it builds without a warning, its examples run, its commands and names are those of the project."""

import json
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench import markdown, results
from cli.main import COMMANDS, _load
from models.errors import SkipstoneError
from models.importers.onnx.operators import _CONTRIBUTED, _CYCLIC, _STANDARD
from models.importers.tflite.operators import _BUILDERS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"
needs_sphinx = pytest.mark.skipif(find_spec("furo") is None, reason="no Sphinx: pip install 'skipstone[docs]'")


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(path):
    """The lines `skipstone ...` in a page's examples, and in tables."""
    lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("skipstone ")]


@needs_sphinx
def test_it_builds_and_every_link_inside_it_leads_somewhere(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(tmp_path),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    pages = {path.stem for path in tmp_path.glob("*.html")}
    assert {path.stem for path in PAGES} <= pages
    shown = (tmp_path / "benchmarks.html").read_text(encoding="utf-8")
    recorded = results.read(results.path_of("zeros", full=False))
    assert f"{recorded['rows'][0]['cycles']:,}" in shown


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_examples_run(page):
    namespace: dict[str, Any] = {}
    for number, block in enumerate(blocks(page, "python"), start=1):
        exec(compile(block, f"{page.name}, example {number}", "exec"), namespace)


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.stem)
def test_commands_exist_with_these_options(page):
    for line in commands(page):
        name, *arguments = shlex.split(line)[1:]
        assert name in COMMANDS, line
        _load(name).make_context(name, list(arguments))


@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("TFLite", [name.upper() for name in _BUILDERS]),
        ("ONNX", _STANDARD),
        ("ONNX Runtime", _CONTRIBUTED),
        ("Skipstone", _CYCLIC),
    ],
    ids=lambda x: str(x)[:6],
)
def test_every_operator_is_named(of, names):
    text = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
    assert not [name for name in names if f"`{name}`" not in text], f"operators of {of} that docs/networks.md lacks"


def test_files_that_are_named_are_there():
    named = {
        (page.name, path)
        for page in [*PAGES, README, ROOT / "CONTRIBUTING.md"]
        for path in re.findall(r"`((?:bench|boards|cli|compiler|docs|host|hw|models|sim)/[\w/.]+)`", page.read_text())
    }
    assert len(named) > 20
    assert not [where for where in named if not (ROOT / where[1]).exists() and "NAME" not in where[1]]


def test_messages_that_are_explained_are_still_said():
    """What the first column of troubleshooting quotes stands in the code, but for options and commands."""
    rows = re.findall(r"^\| (.*?) \|", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [text for row in rows for text in re.findall(r"`([^`]+)`", row) if " " in text]
    folders = ("boards", "cli", "compiler", "host", "models", "setup", "sim")
    files = [path for name in folders for path in (ROOT / name).rglob("*.*") if path.suffix in (".py", ".sh")]
    # A message may be cut into several strings.
    code = re.sub(
        r'"\s+f?"', "", "".join(path.read_text(encoding="utf-8") for path in files if "tests" not in path.parts)
    )
    assert len(quoted) > 8
    assert not [text for text in quoted if text not in code]


def test_links_of_the_readme_lead_somewhere():
    for path in (README, ROOT / "CONTRIBUTING.md", ROOT / "hw/README.md"):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
        assert not [target for target in targets if not (path.parent / target).exists()]


def test_numbers_of_the_readme_are_the_recorded_ones():
    text = README.read_text(encoding="utf-8")
    assert text.count("<!-- results:") >= 2
    assert text == markdown.update(text, markdown.tables()), "run python -m bench.markdown README.md"


def test_numbers_that_are_not_recorded_are_refused(tmp_path):
    document: dict[str, Any] = {"columns": [], "rows": [], "total": None}
    (tmp_path / "mine.json").write_text(json.dumps(document))
    with pytest.raises(SkipstoneError, match=r"no results 'other': give one of .*zeros.*mine, nullhop"):
        markdown.update("<!-- results: other -->\n<!-- end -->", markdown.tables(tmp_path))
