"""The command line: its help, its errors in one line, and its exit status."""

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

import cli.main
from hw.config import ConfigurationError
from models.errors import SkipstoneError

ROOT = Path(__file__).parents[2]


def skipstone(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `skipstone probe ARGUMENTS`, where subcommand ``probe`` is the function given.

    Gives the exit status, and what was written to standard error.
    """

    def run(function, *arguments):
        module = ModuleType("cli.probe")
        module.__dict__["probe"] = function
        monkeypatch.setitem(sys.modules, "cli.probe", module)
        monkeypatch.setitem(cli.main.COMMANDS, "probe", "A probe.")
        monkeypatch.setattr(sys, "argv", ["skipstone", "probe", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main.main()
        return ended.value.code, capsys.readouterr().err

    return run


def raises(error: BaseException):
    def probe() -> None:
        raise error

    return probe


def test_help_names_every_command():
    result = skipstone("--help")
    assert result.returncode == 0
    for name in cli.main.COMMANDS:
        assert f" {name} " in result.stdout


def test_help_imports_no_command():
    """It must not wait for Amaranth or numpy; the time is judged loosely, the imports strictly."""
    script = (
        "import sys, cli.main\n"
        "sys.argv = ['skipstone', '--help']\n"
        "try: cli.main.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('amaranth', 'numpy', 'cocotb') if name in sys.modules], file=sys.stderr)"
    )
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
    assert time.monotonic() - start < 5


def test_version():
    result = skipstone("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("skipstone 0.")


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("synth", "--target", "no-such-part"), ("synth", "--what")]
)
def test_a_usage_error_exits_with_2(arguments):
    result = skipstone(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_mistyped_command_is_suggested():
    assert "'simulate'" in skipstone("simulte").stderr


@pytest.mark.parametrize("name", cli.main.COMMANDS)
def test_every_command_has_help(name):
    result = skipstone(name, "--help")
    assert result.returncode == 0, result.stderr
    assert f"Usage: python -m cli.main {name}" in result.stdout


def test_a_command_gets_its_arguments(run):
    seen = []

    def probe(number: int) -> None:
        seen.append(number)

    assert run(probe, "7") == (0, "")
    assert seen == [7]


@pytest.mark.parametrize("error", [SkipstoneError("a.tflite: layer 3:\n too odd"), ConfigurationError("lanes is 0")])
def test_bad_input_is_one_line_and_exits_with_2(run, error):
    status, written = run(raises(error))
    assert status == 2
    assert written == f"skipstone: {' '.join(str(error).split())}\n"


def test_a_file_that_is_not_there_is_one_line(run, tmp_path):
    path = tmp_path / "none.npy"

    def probe() -> None:
        path.read_bytes()

    assert run(probe) == (2, f"skipstone: {path}: No such file or directory\n")


def test_an_interrupt_exits_with_130(run):
    assert run(raises(KeyboardInterrupt())) == (130, "")


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("no file named")])
def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch, error):
    def faulty() -> None:
        raise error

    monkeypatch.setattr(cli.main, "app", faulty)
    with pytest.raises(type(error)):
        cli.main.main()
