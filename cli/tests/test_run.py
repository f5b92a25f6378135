"""`skipstone run`: what it refuses, and labels; with a simulated board it is tested in `test_serve_sim`."""

import os
import socket
import threading
import tty
from dataclasses import replace
from functools import partial

import pytest

from cli.labels import LABELS, read_labels
from compiler.compiled import describe_program
from compiler.network_program import compile_network
from compiler.program_file import write_program
from models.errors import SkipstoneError
from models.zoo import cifar10
from sim.accelerator_samples import SMALL, random_network

NETWORK = random_network(2)
PROGRAM = describe_program(compile_network(NETWORK, SMALL))


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "run")


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "random.skip"
    write_program(PROGRAM, path)
    return path


def refused(outcome):
    """The one line with which it ended."""
    status, shown, complained = outcome
    assert (status, shown) == (2, "")
    assert complained.startswith("skipstone: ") and complained.count("\n") == 1, complained
    return complained.removeprefix("skipstone: ").rstrip()


def test_a_port_that_is_not_there(run, program):
    assert refused(run(program, "--port", "/dev/ttyNothing")).startswith("/dev/ttyNothing: no such port")


def test_a_silent_device(run, program):
    master, slave = os.openpty()
    tty.setraw(slave)
    line = refused(run(program, "--port", os.ttyname(slave)))
    assert line.startswith(f"{os.ttyname(slave)}: ") and "answer" in line
    os.close(master)
    os.close(slave)


def test_a_device_that_is_no_accelerator(run, program, tmp_path):
    """It says something, whatever it is asked."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "port"))
    listener.listen(1)

    def chatter():
        connection, _ = listener.accept()
        with connection:
            while connection.recv(1000):
                connection.sendall(b"login: ")

    thread = threading.Thread(target=chatter)
    thread.start()
    line = refused(run(program, "--port", tmp_path / "port"))
    assert line.startswith(f"{tmp_path / 'port'}: ")
    thread.join(10)
    listener.close()


def test_a_file_that_is_no_program(run, tmp_path):
    path = tmp_path / "random.skip"
    assert refused(run(path, "--port", "x")) == f"{path}: cannot be read: No such file or directory"
    path.write_bytes(b"not this")
    assert refused(run(path, "--port", "x")).startswith(f"{path}: not a program of Skipstone")


def test_a_program_of_several_inputs(run, tmp_path):
    path = tmp_path / "two.skip"
    write_program(replace(PROGRAM, takes=("input", "conv_2d_0_out")), path)
    assert refused(run(path, "--port", "x")).startswith("random_2 has 2 inputs")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--input", "none.npy"), "none.npy: there is no such file"),
        (("--labels", "cifar10"), "cifar10: has 10 labels; the program gives 6 values: give as many"),
        (("--labels", "cifar100"), "cifar100: neither a file of labels nor one of cifar10, mnist, keyword_spotting, "),
        (("--check", "resnet8"), "--check resnet8: it has other inputs or outputs than the program of random_2"),
    ],
)
def test_what_cannot_be_is_refused_before_the_port_is_opened(run, program, options, line):
    assert refused(run(program, "--port", "/dev/ttyNothing", *options)).startswith(line)


@pytest.mark.parametrize("options", [(), ("--port", "x", "--baud", 0), ("--port", "x", "--seed", -1)])
def test_a_usage_error(run, program, options):
    status, shown, complained = run(program, *options)
    assert (status, shown) == (2, "")
    assert (options[-2] if options else "--port") in complained and "Traceback" not in complained


def test_labels(tmp_path):
    assert read_labels("cifar10", 10) == cifar10.CLASSES
    assert {name: len(labels) for name, labels in LABELS.items()} == {
        "cifar10": 10,
        "mnist": 10,
        "keyword_spotting": 12,
        "visual_wake_words": 2,
    }
    assert read_labels(None, 3) == ("class 0", "class 1", "class 2")
    path = tmp_path / "labels.txt"
    path.write_text("ant\n\n bee \n", encoding="utf-8")
    assert read_labels(str(path), 2) == ("ant", "bee")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SkipstoneError, match="a name a line"):
        read_labels(str(path), 2)
