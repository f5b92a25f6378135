"""`skipstone synth`: what it shows and writes, and its exit status; the flow itself is replaced here."""

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

import cli.synth
from boards.synthesis.report import Report, SlowestPath, Usage
from boards.synthesis.targets import TARGETS
from boards.synthesis.tools import CircuitError


@pytest.fixture
def synth(monkeypatch):
    """Runs `skipstone synth ARGUMENTS`, where the flow reaches ``achieved`` MHz, or fails if in ``broken``.

    Gives the result, and the (target, configuration, frequency) of every build.
    """

    def synth(*arguments, achieved=80.0, broken=()):
        builds = []

        def build(component, target, folder, demand, frequency, stages):
            builds.append((target.name, component.config, frequency))
            if target.name in broken:
                raise CircuitError(f"{target.name}: it does not fit")
            with stages(f"{target.name}: nothing"):
                pass
            usage = (Usage("LUT", 500, 2000), Usage("single-port RAM", 0, 0))
            path = SlowestPath("a", "b", logic=4, routing=8.5, cells=3)
            return Report(target, usage, 33, (), frequency or target.frequency, achieved, path)

        monkeypatch.setattr(cli.synth, "build", build)
        app = Typer()
        app.command()(cli.synth.synth)
        return CliRunner().invoke(app, arguments), builds

    return synth


def test_every_target_is_built_with_its_own_configuration(synth):
    result, builds = synth()
    assert result.exit_code == 0
    assert builds == [(target.name, target.config, None) for target in TARGETS.values()]
    assert "25" in result.stdout, "the share of the LUTs used"
    assert "80.0 MHz" in result.stdout
    assert "33 are the harness's" in result.stdout
    assert "from a to b: 4.0 ns of logic in 3 cells, 8.5 ns of routing" in result.stdout


def test_the_array_and_the_clock_can_be_chosen(synth):
    result, ((name, config, frequency),) = synth("--target", "ecp5", "--groups", "2", "--lanes", "6", "--freq", "75")
    assert result.exit_code == 0
    assert (name, config.groups, config.lanes, frequency) == ("ecp5", 2, 6, 75)


def test_a_clock_that_is_not_reached_exits_with_1(synth, tmp_path):
    result, _ = synth("--target", "ecp5", "--json", str(tmp_path / "out.json"), achieved=59.9)
    assert result.exit_code == 1
    assert "not reached" in result.stdout
    assert json.loads((tmp_path / "out.json").read_text())["passed"] is False


def test_a_target_that_fails_does_not_hide_the_others(synth, tmp_path):
    result, builds = synth("--json", str(tmp_path / "out.json"), broken=("ecp5",))
    assert result.exit_code == 1
    assert "skipstone: ecp5: it does not fit" in result.stderr
    assert len(builds) == len(TARGETS)
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["passed"] is False
    ecp5, ice40 = written["targets"]
    assert ecp5["error"] == "ecp5: it does not fit"
    assert ice40["resources"]["LUT"] == {"used": 500, "available": 2000}
    assert ice40["config"]["lanes"] == TARGETS["ice40"].config.lanes


def test_the_targets_offered_are_those_there_are():
    assert [name.value for name in cli.synth.TargetName] == [*TARGETS, "all"]
