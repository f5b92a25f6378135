import sys

import pytest

import cli.main


@pytest.fixture
def skipstone(monkeypatch, capsys):
    """Runs `skipstone COMMAND ARGUMENTS`; gives the exit status, standard output and standard error."""

    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", ["skipstone", command, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run
