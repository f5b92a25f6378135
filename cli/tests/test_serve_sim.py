"""`skipstone serve-sim` and `skipstone run`, the whole way: a simulated board behind a real pseudo-terminal."""

import json
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import cli.main
import cli.run
from compiler.compiled import describe_program
from compiler.network_program import compile_network
from compiler.program_file import write_program
from models import golden
from sim.accelerator_samples import SMALL, random_images, random_network
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator small"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

ROOT = Path(__file__).parents[2]
NETWORK = random_network(2)
PROGRAM = describe_program(compile_network(NETWORK, SMALL))
START_SECONDS = 900
"""It may have to compile the simulation first."""


def heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_board(*arguments):
    """`skipstone serve-sim ARGUMENTS` as a process, and the path that it prints."""
    command = [sys.executable, "-m", "cli.main", "serve-sim", *map(str, arguments)]
    pipe = subprocess.PIPE
    # Where the tests run in the background interrupts are ignored, and a process would inherit that.
    board = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_interrupts)
    watchdog = threading.Timer(START_SECONDS, board.kill)
    watchdog.start()
    assert board.stdout is not None
    try:
        path = board.stdout.readline().strip()
    finally:
        watchdog.cancel()
    return board, path


def check_end(board):
    """It ends at once and without a word; in any case it ends."""
    try:
        said, complained = board.communicate(timeout=60)
    finally:
        board.kill()
    assert (board.returncode, said) == (0, ""), complained
    assert "Traceback" not in complained


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "random.skip"
    write_program(PROGRAM, path)
    return path


@pytest.fixture(scope="module")
def port(program):
    """The path of a board's terminal."""
    board, path = start_board(program, "--stalls", "random", "--seed", 5)
    assert path.startswith("/dev/"), f"serve-sim printed {path!r}, and {board.stderr.read() if not path else ''}"
    yield path
    board.terminate()
    check_end(board)


@pytest.fixture
def run(monkeypatch, skipstone):
    monkeypatch.setattr(cli.run, "load", lambda name: NETWORK)
    return partial(skipstone, "run")


@pytest.mark.parametrize("seed", range(3))
def test_an_answer(run, program, port, tmp_path, seed):
    (image,) = random_images(NETWORK, 1, seed)
    np.save(tmp_path / "image.npy", image)
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\nfox\n")
    options = ("--labels", tmp_path / "labels.txt", "--check", "random", "--json", tmp_path / "run.json")
    status, table, complained = run(program, "--port", port, "--input", tmp_path / "image.npy", *options)
    assert (status, complained) == (0, "")
    document = json.loads((tmp_path / "run.json").read_text())
    (output,) = NETWORK.outputs
    expected = golden.run(NETWORK, image[np.newaxis])[output]
    assert document["outputs"] == {output: expected.tolist()} and document["equal"] is True
    ranked = [item["value"] for item in document["classes"]]
    assert ranked == sorted(ranked, reverse=True) and len(ranked) == 6
    assert document["classes"][0]["value"] == (int(expected.max()) + 128) / 256
    assert document["classes"][0]["label"] == ("ant", "bee", "cat", "dog", "elk", "fox")[int(expected.argmax())]
    assert [layer["name"] for layer in document["layers"]] == [e.name for e in PROGRAM.entries[: PROGRAM.last + 1]]
    for layer in document["layers"]:
        assert layer["name"] in table and f"{layer['cycles']:,}" in table
    assert f"{document['cycles']:,} cycles from start to done" in table and "equal to the golden model" in table
    layers = [item["cycles"] for item in document["layers"] if item["operation"] not in ("load", "store")]
    assert document["layer_cycles"] == sum(layers) < document["cycles"]
    best = document["classes"][0]
    assert f"{best['label']}: {best['value']:.1%}" in table


def test_a_difference_exits_with_1(run, program, port, monkeypatch):
    (output,) = NETWORK.outputs
    true_run = golden.run

    def wrong(network, values):
        tensors = true_run(network, values)
        tensors[output] = tensors[output] ^ 1
        return tensors

    monkeypatch.setattr(cli.run.golden, "run", wrong)
    status, table, complained = run(program, "--port", port, "--check", "random")
    assert (status, complained) == (1, "")
    assert f"{output}: first difference at [0]: got " in table


def test_a_program_for_another_board_is_one_line(run, port, tmp_path):
    other = describe_program(compile_network(NETWORK, SMALL.with_changes(program_depth=4096)))
    write_program(other, tmp_path / "other.skip")
    status, table, complained = run(tmp_path / "other.skip", "--port", port)
    assert (status, table) == (2, "")
    assert complained.startswith(f"skipstone: {port}: the program of random_2 is for another accelerator: ")
    assert "words of program memory 2048, not 4096" in complained and complained.count("\n") == 1


def test_an_interrupt_ends_the_board(program):
    board, path = start_board(program)
    assert path.startswith("/dev/")
    board.send_signal(signal.SIGINT)
    check_end(board)
