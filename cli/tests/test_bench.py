"""`skipstone bench` and `skipstone report`: files, exit status, and one line for what cannot be."""

import json
from functools import partial

import pytest

from bench import suite
from bench.benchmark import Benchmark, Case, totals

ROW = {
    "groups": 1,
    "lanes": 4,
    "dataflow": "nullhop",
    "cycles": 1000,
    "predicted_cycles": 990,
    "macs": 3000,
    "multiplies": 2000,
    "utilisation": 0.5,
    "efficiency": 0.75,
    "equal": True,
    "traffic": None,
}


class Bench:
    def __init__(self, run):
        self._run = run
        self.row = dict(ROW)

    def __call__(self, *arguments):
        return self._run(*arguments)


@pytest.fixture
def bench(skipstone, monkeypatch, tmp_path):
    """Runs `skipstone bench` on one benchmark, whose row is `bench.row`."""
    monkeypatch.setenv("SKIPSTONE_BUILD", str(tmp_path / "build"))
    run = Bench(partial(skipstone, "bench", "small", "--output", tmp_path))
    cases = [Case("only", lambda: dict(run.row))]
    small = Benchmark("small", "A small one", lambda full: cases, summarise=totals)
    monkeypatch.setattr(suite, "BENCHMARKS", {"small": small})
    return run


def test_rows_are_shown_recorded_and_checked(bench, tmp_path):
    status, table, _ = bench()
    assert status == 0 and "A small one" in table and " 1,000 " in table and "total" in table
    recorded = tmp_path / "small.json"
    (row,) = json.loads(recorded.read_text())["rows"]
    assert row["name"] == "only" and row["cycles"] == 1000
    # The row was kept: nothing is measured again until that is asked for.
    bench.row["cycles"] = 1001
    assert bench("--check")[0] == 0
    status, said, _ = bench("--check", "--again")
    assert status == 1 and "changed: only: cycles is 1,001, recorded is 1,000" in said
    assert json.loads(recorded.read_text())["rows"] == [row]
    status, said, _ = bench("--again")
    assert status == 0 and "changed: only" in said
    assert json.loads(recorded.read_text())["rows"][0]["cycles"] == 1001


def test_nothing_to_check_against_is_no_success(bench):
    status, said, _ = bench("--check")
    assert status == 1 and "nothing to check against" in said


def test_an_output_that_differs_is_no_success(bench):
    bench.row["equal"] = False
    assert bench()[0] == 1


def test_an_unknown_benchmark(skipstone):
    status, _, complained = skipstone("bench", "nonsense")
    assert status == 2 and complained.startswith("skipstone: there is no benchmark 'nonsense'")


def test_the_list(skipstone):
    status, said, _ = skipstone("bench", "--list")
    assert status == 0 and [line.partition(":")[0] for line in said.splitlines()] == list(suite.BENCHMARKS)


def test_a_page_is_made_of_what_was_recorded(bench, skipstone, tmp_path):
    bench()
    page = tmp_path / "folder" / "page.html"
    status, said, _ = skipstone("report", tmp_path / "small.json", "--output", page)
    assert (status, said) == (0, f"wrote {page}\n")
    assert "A small one: cycles" in page.read_text()


def test_no_page_is_made_of_a_file_that_is_not_there(skipstone, tmp_path):
    page = tmp_path / "page.html"
    status, _, complained = skipstone("report", tmp_path / "absent.json", "--output", page)
    assert (status, len(complained.splitlines())) == (2, 1) and "absent.json: cannot be read" in complained
    assert not page.exists()


def test_no_page_is_made_without_the_libraries(skipstone, monkeypatch):
    monkeypatch.setattr("cli.report.find_spec", lambda name: None if name == "altair" else object())
    status, _, complained = skipstone("report")
    assert status == 2 and "altair not installed: pip install 'skipstone[report]'" in complained
