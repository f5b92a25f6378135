"""The runner: builds are cached, exactly the tests asked for run, failures say what happened and how to
repeat it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from models.errors import SkipstoneError
from sim.harness import cache, toolchain
from sim.harness.exchange import Request
from sim.harness.replay import replay
from sim.harness.runner import BuildError, SimulationError, build, compile_verilog, run
from sim.tests.harness.components import Fifo, Resting

TESTS = "sim.tests.harness.stream_tests"
FAILING = "sim.tests.harness.failing_tests"
BEATS = {
    "shape": "plain",
    "stalls": "random",
    "beats": list(range(20)),
    "expected": list(range(20)),
    "settings": {"enable": 1},
}

pytestmark = pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator")))


@pytest.fixture(scope="module")
def model():
    return build(Fifo(), name="fifo")


def test_the_same_component_is_compiled_once(model):
    again = build(Fifo(), name="fifo")
    assert again == model
    assert build(Fifo(depth=5), name="fifo").folder != model.folder


def _make_slowly(build_root):
    """In another process: ask for a folder whose making takes a while; each making leaves a line."""
    os.environ["SKIPSTONE_BUILD"] = str(build_root)

    def make(folder):
        with (build_root / "makings").open("a") as makings:
            makings.write("made\n")
        time.sleep(0.3)
        (folder / "content").write_text("whole")

    return str(cache.cached_folder("thing", make))


def test_processes_that_need_the_same_folder_make_it_once(tmp_path):
    with get_context("fork").Pool(3) as pool:
        folders = pool.map(_make_slowly, [tmp_path] * 3)
    assert folders == [str(tmp_path / "sim" / "thing")] * 3
    assert (tmp_path / "makings").read_text() == "made\n"
    assert [path.name for path in (tmp_path / "sim").glob("thing*")] == ["thing"]
    assert (tmp_path / "sim" / "thing" / "content").read_text() == "whole"


def test_runs_may_go_side_by_side_in_threads(model):
    before = dict(os.environ)

    def one(seed):
        return run(model, TESTS, testcase="reports_progress", parameters={"steps": 1}, seed=seed)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, range(2))) == [{"seed": seed} for seed in range(2)]
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["fork", "a-b", "1"])
def test_a_module_name_that_verilog_cannot_have_is_refused(name):
    with pytest.raises(ValueError, match=f"module name '{name}'"):
        build(Fifo(), name=name)


def test_internals_are_reachable_when_asked():
    model = build(Fifo(), name="fifo", internals=True)
    results = run(model, TESTS, testcase="reads_internals", seed=1)
    assert results == {"width": 8}


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_what_depends_on_nothing_that_changes_is_known(simulator):
    if reason := toolchain.missing(simulator):
        pytest.skip(reason)
    model = build(Resting(), name="resting", simulator=simulator)
    results = run(model, TESTS, testcase="reads_before_and_after_a_step", seed=1)
    assert results == {"before": "0001", "after": "0110"}


def test_nothing_stays_of_a_build_that_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPSTONE_BUILD", str(tmp_path))
    with pytest.raises(BuildError, match="syntax error"):
        compile_verilog({"bad.v": "module bad(; endmodule\n"}, name="bad")
    assert not list((tmp_path / "sim").glob("bad*"))


def test_the_build_folder_must_be_writable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SKIPSTONE_BUILD", str(tmp_path / "file"))
    with pytest.raises(SkipstoneError, match="SKIPSTONE_BUILD"):
        cache.cached_folder("key", lambda folder: None)


def test_results_and_progress_come_back(model):
    lines: list[str] = []
    results = run(model, TESTS, testcase="reports_progress", parameters={"steps": 3}, seed=7, on_progress=lines.append)
    assert results == {"seed": 7}
    assert lines == ["step 0", "step 1", "step 2"]


def test_several_tests_can_be_named(model):
    parameters = {**BEATS, "steps": 0}
    results = run(model, TESTS, testcase=["passes_all_beats", "reports_progress"], parameters=parameters, seed=1)
    assert results["seed"] == 1
    assert results["got"] == BEATS["expected"]


@pytest.mark.parametrize("name", ["passes", "all_beats", "passes_all_beats_of_it"])
def test_a_test_that_does_not_run_is_a_failure(model, name):
    with pytest.raises(SimulationError, match=f"has no test '{name}' that runs"):
        run(model, TESTS, testcase=["reports_progress", name], parameters={"steps": 0}, seed=1)


def test_a_module_without_tests_is_a_failure(model):
    with pytest.raises(SimulationError):
        run(model, "sim.tests.harness.components", seed=1)


def test_a_module_that_does_not_exist_is_a_failure(model):
    with pytest.raises(SimulationError, match="no_such_module"):
        run(model, "sim.tests.harness.no_such_module", seed=1)


def test_one_failing_test_of_a_module_fails_the_run(model):
    with pytest.raises(SimulationError, match=r"fails: .*as it should"):
        run(model, FAILING, seed=1)


def test_a_failure_prints_the_command_that_repeats_it(model):
    with pytest.raises(SimulationError, match="seed 5") as failure:
        run(model, FAILING, testcase="fails", seed=5)
    command = re.search(r"python (-m sim\.harness\.replay (\S+))", str(failure.value))
    assert command is not None
    folder = Path(command[2])
    assert Request.load(folder / "request.json").seed == 5
    outcome = subprocess.run([sys.executable, *command[1].split()], capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    assert "as it should" in outcome.stderr
    shutil.rmtree(folder)


def test_replay_refuses_a_folder_without_a_request(tmp_path):
    with pytest.raises(SkipstoneError, match=r"request\.json"):
        replay(tmp_path)


def test_waves_are_written_only_when_asked(model, tmp_path):
    waves = tmp_path / "waves" / "fifo.fst"
    with pytest.raises(ValueError, match="waves=True"):
        run(model, TESTS, testcase="passes_all_beats", parameters=BEATS, seed=1, waves=waves)
    recorder = build(Fifo(), name="fifo", waves=True)
    run(recorder, TESTS, testcase="passes_all_beats", parameters=BEATS, seed=1)
    assert not list(recorder.folder.glob("*.fst"))
    run(recorder, TESTS, testcase="passes_all_beats", parameters=BEATS, seed=1, waves=waves)
    assert waves.stat().st_size > 100


def test_a_missing_or_unknown_simulator_is_one_clear_line(monkeypatch):
    with pytest.raises(SkipstoneError, match="no simulator named 'modelsim': give one of verilator, icarus"):
        toolchain.require("modelsim")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SkipstoneError, match="iverilog is not installed"):
        toolchain.require("icarus")
    assert "iverilog" in str(toolchain.missing("icarus"))


def test_the_callers_environment_neither_steers_nor_changes(model, monkeypatch):
    monkeypatch.setenv("WAVES", "out.fst")
    monkeypatch.setenv("COCOTB_TEST_FILTER", "nothing")
    monkeypatch.setenv("MAKEFLAGS", "n")
    before = dict(os.environ)
    assert run(model, TESTS, testcase="reports_progress", parameters={"steps": 0}, seed=2) == {"seed": 2}
    build(Fifo(depth=6), name="fifo")
    assert dict(os.environ) == before
