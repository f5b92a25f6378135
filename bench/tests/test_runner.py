"""How cases become rows, rows are kept, and results are recorded and compared."""

import json

import pytest

from bench import results, runner
from bench.benchmark import Benchmark, Case, Column, totals
from models.errors import SkipstoneError

ROW = {"groups": 2, "lanes": 4, "cycles": 10, "predicted_cycles": 9, "macs": 160, "multiplies": 40, "equal": True}


class Counted:
    """Measures nothing, and counts how often."""

    def __init__(self, **row):
        self.times = 0
        self.row = ROW | row
        self.interrupted = False

    def measure(self):
        if self.interrupted:
            raise KeyboardInterrupt
        self.times += 1
        return self.row


@pytest.fixture(autouse=True)
def build_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SKIPSTONE_BUILD", str(tmp_path / "build"))


def benchmark_of(*measures, **parameters):
    cases = [Case(f"case {i}", measure.measure, parameters) for i, measure in enumerate(measures)]
    return Benchmark("counted", "Nothing", lambda full: cases, summarise=totals)


def test_a_finished_row_is_kept_and_an_interrupted_run_goes_on():
    first, second = Counted(), Counted()
    second.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        runner.run(benchmark_of(first, second))
    second.interrupted = False
    rows = runner.run(benchmark_of(first, second))
    assert (first.times, second.times) == (1, 1)
    assert [row["name"] for row in rows] == ["case 0", "case 1"]
    runner.run(benchmark_of(first, second), again=True)
    assert (first.times, second.times) == (2, 2)


def test_a_row_is_measured_again_when_what_it_depends_on_changes(monkeypatch):
    measure = Counted()
    runner.run(benchmark_of(measure, size=1))
    runner.run(benchmark_of(measure, size=2))
    assert measure.times == 2
    monkeypatch.setattr(results, "_code", lambda: "other code")
    runner.run(benchmark_of(measure, size=2))
    assert measure.times == 3


def test_results_say_what_made_them(tmp_path):
    benchmark = benchmark_of(Counted(), Counted(cycles=30))
    rows = runner.run(benchmark)
    path = results.write(benchmark, rows, full=True, folder=tmp_path)
    assert path == tmp_path / "full" / "counted.json"
    document = results.read(path)
    assert document["seed"] == 0 and document["full"] is True
    assert {"python", "amaranth", "verilator"} <= document["versions"].keys()
    assert document["rows"] == rows and {"commit", "modified"} <= document.keys()
    # 320 dense multiply-accumulates and 80 useful ones on 8 multipliers in 40 cycles.
    assert document["total"] == {
        "cycles": 40,
        "predicted_cycles": 18,
        "macs": 320,
        "multiplies": 80,
        "utilisation": 0.25,
        "efficiency": 1.0,
        "equal": True,
    }


def test_differences_are_named():
    recorded = {"rows": [{"name": "a", "cycles": 1000, "macs": 5}, {"name": "gone", "cycles": 1}]}
    rows = [{"name": "a", "cycles": 1001, "macs": 5, "utilisation": 0.5}, {"name": "new", "cycles": 7}]
    assert results.differences(recorded, rows) == ["a: cycles is 1,001, recorded is 1,000"]
    assert results.differences(recorded, [{"name": "a", "cycles": 1000}]) == []


def test_resources_may_differ_a_little():
    recorded = {"rows": [{"name": "a", "lut": 1000, "dsp": 8}]}
    assert results.differences(recorded, [{"name": "a", "lut": 1030, "dsp": 8}]) == []
    changed = ["a: lut is 960, recorded is 1,000", "a: dsp is 9, recorded is 8"]
    assert results.differences(recorded, [{"name": "a", "lut": 960, "dsp": 9}]) == changed


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("{", "not JSON"), ("[]", "holds no results")])
def test_a_file_that_holds_no_results_is_named(tmp_path, content, reason):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SkipstoneError, match=reason) as raised:
        results.read(path)
    assert str(path) in str(raised.value)


def test_cells_of_a_table():
    assert Column("x", "cycles", ",d").text({"cycles": 1234}) == "1,234"
    assert Column("x", "share", ".1%").text({"share": 0.5}) == "50.0%"
    assert [Column("x", "equal").text({"equal": value}) for value in (True, False)] == ["yes", "NO"]
    assert Column("x", "absent", ",d").text({}) == ""


def test_recorded_results_are_whole_and_equal():
    paths = sorted(results.FOLDER.rglob("*.json"))
    assert paths
    for path in paths:
        document = json.loads(path.read_text())
        assert path == results.path_of(document["benchmark"], full=document["full"])
        assert document["rows"] and document["commit"], path
        assert all(row.get("equal", True) for row in document["rows"]), path
