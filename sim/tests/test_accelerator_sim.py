"""The driver on the simulated accelerator: a small network on a small configuration, in its Verilog.

Most tests talk to one simulation, one after another: what one leaves behind the next one meets.
"""

from dataclasses import replace

import numpy as np
import pytest

from compiler.compiled import describe_program
from compiler.network_program import compile_network
from host.device import AcceleratorError, StoppedError
from host.link import LinkError
from hw.machine import registers
from hw.machine.program import ProgramImage, entry_words
from hw.machine.registers import RunError
from models import golden
from sim.accelerator_run import open_accelerator, run_program
from sim.accelerator_samples import SMALL, random_images, random_network
from sim.accelerator_sim import SimulatedAccelerator
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator small"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

NETWORK = random_network(2)
COMPILED = compile_network(NETWORK, SMALL)
PROGRAM = describe_program(COMPILED)
IMAGES = random_images(NETWORK, 8, seed=7)
(OUTPUT,) = NETWORK.outputs
EXPECTED = golden.run(NETWORK, IMAGES)[OUTPUT]
LAYERS = COMPILED.layers


@pytest.mark.parametrize("stalls", ["none", "random"])
def test_every_tensor_of_a_whole_network_is_equal(stalls):
    run = run_program(COMPILED, IMAGES[:1], seed=1, stalls=stalls)
    assert run.mismatches == {} and run.equal
    assert run.host_operators == {"softmax": 1}
    rows = run.rows()
    assert [row["name"] for row in rows] == [PROGRAM.entries[index].name for index in LAYERS]
    by_op = {row["op"]: row["dataflow"] for row in rows}
    assert by_op == {
        **dict.fromkeys(("conv_2d", "fully_connected"), "nullhop"),
        **dict.fromkeys(("add", "max_pool_2d", "average_pool_2d", *({"sum"} & by_op.keys())), "vector"),
    }
    for row, layer in zip(rows, run.layers, strict=True):
        assert 0 < row["multiplies"] <= row["macs"] or row["dataflow"] == "vector"
        assert layer.counters.operations == layer.prediction.operations, row
    total = run.total()
    assert sum(row["cycles"] for row in rows) < total["cycles"] < 1.05 * sum(row["cycles"] for row in rows)
    assert total["macs"] == NETWORK.macs and run.as_json()["total"] == total


@pytest.mark.slow
def test_the_second_simulator_agrees_and_records_waves(tmp_path):
    if reason := toolchain.missing("icarus"):
        pytest.skip(reason)
    network = random_network(2, size=6)
    waves = tmp_path / "waves.fst"
    images = random_images(network, 1)
    run = run_program(compile_network(network, SMALL), images, simulator="icarus", waves=waves)
    assert run.equal
    assert waves.stat().st_size > 10_000


@pytest.fixture(scope="module")
def simulated():
    with SimulatedAccelerator(SMALL) as simulated:
        yield simulated


@pytest.fixture
def accelerator(simulated):
    return open_accelerator(simulated)


def check(accelerator, index=0):
    """A run of an image gives what it must."""
    np.testing.assert_array_equal(accelerator.run(IMAGES[index])[OUTPUT][0], EXPECTED[index])


def test_after_power_on_there_is_no_program(simulated, accelerator):
    simulated.reset()
    accelerator = open_accelerator(simulated)
    status = accelerator.device.status()
    assert not any((status.busy, status.done, status.failed, status.program_valid, status.verifying))
    assert accelerator.identity.fingerprint == SMALL.fingerprint
    assert (accelerator.identity.groups, accelerator.identity.lanes) == (2, 4)
    with pytest.raises(StoppedError, match="NO_PROGRAM"):
        accelerator.run_entries(0, 0)
    assert not accelerator.device.status().failed


def test_images_one_after_another_without_a_reset(accelerator):
    assert accelerator.load(PROGRAM) and not accelerator.load(PROGRAM)
    for index in range(len(IMAGES)):
        check(accelerator, index)
    counters = accelerator.counters()
    assert [item.entry.name for item in counters] == [entry.name for entry in PROGRAM.entries[: PROGRAM.last + 1]]
    for item in counters:
        assert 0 < item.cycles < accelerator.cycles
        assert 0 <= item.busy + item.activations + item.post <= 1 + 1e-9 and 0 <= item.weights < 1


def start_layers(accelerator):
    """Start the layers on an image and come back in the middle of them."""
    accelerator.load_inputs(IMAGES[0])
    accelerator.device.start(LAYERS[0], LAYERS[-1])
    assert accelerator.device.status().busy


def test_a_run_that_is_cleared_in_the_middle_of_a_layer_does_no_harm(accelerator):
    accelerator.load(PROGRAM)
    for index in range(3):
        start_layers(accelerator)
        accelerator.clear()
        assert not accelerator.device.status().busy
        check(accelerator, index)


def test_a_reset_in_the_middle_of_a_layer_does_no_harm(simulated, accelerator):
    accelerator.load(PROGRAM)
    start_layers(accelerator)
    simulated.reset()
    with pytest.raises(LinkError):  # the device has forgotten where the conversation was
        accelerator.run(IMAGES[0])
    with pytest.raises(StoppedError, match="NO_PROGRAM"):
        accelerator.run(IMAGES[0])
    assert accelerator.load(PROGRAM)
    check(accelerator)


def test_a_start_while_busy_stops_the_machine(accelerator):
    accelerator.load(PROGRAM)
    start_layers(accelerator)
    accelerator.device.set(registers.CONTROL, start=1)
    with pytest.raises(StoppedError, match="START_WHILE_BUSY") as stopped:
        accelerator.device.wait("end", lambda status: status.done)
    assert stopped.value.code == RunError.START_WHILE_BUSY
    accelerator.clear()
    check(accelerator)


def test_a_program_for_another_accelerator_is_refused(accelerator):
    config = replace(SMALL, core=SMALL.core.with_changes(groups=1))
    other = describe_program(compile_network(NETWORK, config))
    with pytest.raises(AcceleratorError, match="groups 2, not 1, fingerprint"):
        accelerator.load(other)
    accelerator.load(PROGRAM)
    check(accelerator)


def with_image(change):
    """The program with its image changed by a function of the bytes."""
    return replace(PROGRAM, image=ProgramImage(bytes(change(bytearray(PROGRAM.image.data))), PROGRAM.image.entries))


def test_a_truncated_program_stops_with_an_error(accelerator):
    """Its checksum is right, but weights lie behind its end."""
    lanes = SMALL.core.lanes
    truncated = with_image(lambda image: image[: len(image) // 2 // lanes * lanes])
    assert accelerator.load(truncated)
    with pytest.raises(StoppedError, match="RANGE") as stopped:
        accelerator.run(IMAGES[0])
    assert stopped.value.entry is not None
    assert stopped.value.entry is not None
    entry = PROGRAM.entries[stopped.value.entry]
    assert entry.operation == "CONVOLVE" and str(stopped.value).endswith(f"{entry.name})")
    assert accelerator.load(PROGRAM)
    check(accelerator)


@pytest.mark.parametrize("index", [0, LAYERS[3], PROGRAM.last])
def test_a_damaged_entry_is_named(accelerator, index):
    def damage(image):
        image[index * entry_words(SMALL.core, SMALL.program_depth) * SMALL.core.lanes] ^= 0x10
        return image

    accelerator.load(with_image(damage))
    with pytest.raises(StoppedError, match="BAD_ENTRY") as stopped:
        accelerator.run(IMAGES[0])
    assert stopped.value.entry == index
    accelerator.load(PROGRAM)
    check(accelerator)


def test_a_program_memory_that_was_written_to_is_found_out(accelerator):
    accelerator.load(PROGRAM)
    image = bytearray(PROGRAM.image.data)
    image[-1] ^= 0x80
    accelerator.device.write_program(bytes(image), lambda done: None)
    with pytest.raises(StoppedError, match="NO_PROGRAM"):
        accelerator.run(IMAGES[0])
    with pytest.raises(StoppedError, match="CHECKSUM"):
        accelerator.device.verify(len(image) // SMALL.core.lanes, PROGRAM.image.checksum, PROGRAM.image.entries)
    accelerator.clear()
    accelerator.load(PROGRAM)
    check(accelerator)


def test_entries_that_there_are_not(accelerator):
    accelerator.load(PROGRAM)
    entries = PROGRAM.image.entries
    for first, last in ((1, 0), (0, entries), (entries, entries + 1)):
        with pytest.raises(StoppedError, match="RANGE"):
            accelerator.run_entries(first, last)
    check(accelerator)
