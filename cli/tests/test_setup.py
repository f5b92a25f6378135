"""What a user meets first: missing prerequisites, an interrupted set-up, `make help`."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL_TOOLS = ("sh", "cat", "cmp", "dirname", "mkdir", "rm", "touch", "grep", "sed", "awk", "echo")
PREREQUISITES = ("python3", "c++", "make", "perl", "git")


def bin_folder(folder: Path, without: tuple[str, ...] = (), scripts: dict[str, str] | None = None) -> dict[str, str]:
    """An environment whose PATH holds the prerequisites but for ``without``; ``scripts`` replace some."""
    folder.mkdir()
    for name in (*SHELL_TOOLS, *PREREQUISITES):
        found = sys.executable if name == "python3" else shutil.which(name)
        if name not in without and found:
            wrapper = folder / name
            # Not a link: a compiler finds its parts, and Python its library, from where it lies.
            wrapper.write_text((scripts or {}).get(name, f'#!/bin/sh\nexec "{found}" "$@"\n'))
            wrapper.chmod(0o755)
    return {"PATH": str(folder)}


def sh(script: str, *arguments: str, env: dict[str, str], cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [str(shutil.which("sh")), script, *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def make(*arguments: str, env: dict[str, str] | None = None) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout


def test_a_complete_machine_passes_in_silence(tmp_path):
    result = sh("setup/prerequisites.sh", "python3", env=bin_folder(tmp_path / "bin"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("lost", "named", "cure"),
    [
        ("python3", "Python (python3)", "apt install python3"),
        ("c++", "a C++ compiler", "apt install g++"),
        ("make", "make", "apt install make"),
        ("perl", "perl", "apt install perl"),
        ("git", "git", "apt install git"),
    ],
)
def test_each_missing_prerequisite_is_one_line_with_its_cure(tmp_path, lost, named, cure):
    result = sh("setup/prerequisites.sh", "python3", env=bin_folder(tmp_path / "bin", without=(lost,)))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"skipstone: {named}")
    assert cure in line


@pytest.mark.parametrize(
    ("tool", "script", "said"),
    [
        (
            "python3",
            '[ "$1" = -c ] && case "$2" in *version_info*) exit 1;; *) echo 3.9.2;; esac',
            "is 3.9.2",
        ),
        (
            "python3",
            'case "$2" in *ensurepip*) exit 1;; *exit*) exit 0;; *) echo python3.11-venv;; esac',
            "python3.11-venv",
        ),
        ("c++", "exit 1", "C++20"),
    ],
)
def test_a_prerequisite_that_is_too_old_is_one_line(tmp_path, tool, script, said):
    env = bin_folder(tmp_path / "bin", scripts={tool: f"#!/bin/sh\n{script}\n"})
    result = sh("setup/prerequisites.sh", "python3", env=env)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert said in line


def test_everything_missing_is_a_line_each(tmp_path):
    result = sh("setup/prerequisites.sh", "python3", env=bin_folder(tmp_path / "bin", without=PREREQUISITES))
    assert len(result.stderr.splitlines()) == len(PREREQUISITES)


@pytest.fixture
def project(tmp_path):
    """A project with the set-up scripts, and an interpreter whose pip notes what it was asked to install.

    Gives the project's folder, and a function that runs the set-up and returns how often pip was run by it.
    """
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "setup", folder / "setup")
    (folder / "pyproject.toml").write_text("[project]\n")
    log = folder / "pip.log"
    fake = f"""#!/bin/sh
        case "$*" in
            "-m venv"*)
                mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "#!$PWD/$3/bin/python" >"$3/bin/pip" ;;
            "-m pip install"*) echo "$*" >>{log}; [ ! -e {folder}/broken ] ;;
            *version_info*) ;;
            "-c"*) echo 3.11 /usr ;;
            --version) echo "Python 3.11" ;;
        esac
        """
    env = bin_folder(tmp_path / "bin", scripts={"python3": fake})
    env["PATH"] += f":{Path(str(shutil.which('cp'))).parent}"

    def set_up(status: int = 0) -> int:
        log.write_text("")
        result = sh("setup/environment.sh", "python3", ".venv", env=env, cwd=folder)
        assert result.returncode == status, result.stderr
        return len(log.read_text().splitlines())

    return folder, set_up


def test_the_environment_is_installed_once(project):
    _, set_up = project
    assert [set_up(), set_up()] == [1, 0]


def test_a_change_of_pyproject_installs_again_into_the_same_environment(project):
    folder, set_up = project
    set_up()
    (folder / ".venv" / "mine").touch()
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert [set_up(), set_up()] == [1, 0]
    assert (folder / ".venv" / "mine").exists()


def test_an_interrupted_install_is_redone_from_the_start(project):
    folder, set_up = project
    (folder / "broken").touch()
    set_up(status=2)
    (folder / ".venv" / "half").touch()
    (folder / "broken").unlink()
    assert set_up() == 1
    assert not (folder / ".venv" / "half").exists()


def test_the_environment_of_a_project_that_was_moved_is_made_anew(project):
    folder, set_up = project
    set_up()
    (folder / ".venv" / "mine").touch()
    for name in ("skipstone-stamp", "bin/pip"):
        path = folder / ".venv" / name
        path.write_text(path.read_text().replace(str(folder), "/elsewhere"))
    assert [set_up(), set_up()] == [1, 0]
    assert not (folder / ".venv" / "mine").exists()


def test_make_help_lists_every_target_and_variable():
    shown = make("help")
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE):
        assert re.search(rf"^  {name} ", shown, re.MULTILINE), name
    for name in re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE):
        assert re.search(rf"^  {name} ", shown, re.MULTILINE), name


def test_a_variable_without_a_value_is_not_passed():
    env = {"PATH": os.environ["PATH"]}
    (plain,) = (line for line in make("-n", "sim", env=env).splitlines() if "skipstone simulate" in line)
    assert shlex.split(plain) == [".venv/bin/skipstone", "simulate", "resnet8"]
    (given,) = (
        line
        for line in make("-n", "sim", "NETWORK=my net.tflite", "GROUPS=2", "JSON=out.json", env=env).splitlines()
        if "skipstone simulate" in line
    )
    wanted = ["simulate", "my net.tflite", "--groups", "2", "--json", "out.json"]
    assert shlex.split(given) == [".venv/bin/skipstone", *wanted]
