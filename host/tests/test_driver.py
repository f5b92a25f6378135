"""The driver against a machine in Python: what it loads and reads, and one clear line for all that goes wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compiler.compiled import describe_program
from compiler.network_program import compile_network
from compiler.transfer import from_packets, to_packets
from host.device import AcceleratorError, Device, StoppedError
from host.driver import Accelerator
from host.link import SilentDeviceError
from host.tests.fake_machine import FakeEntry, FakeLink, FakeMachine
from hw.control.descriptor import Operation
from hw.machine import registers
from hw.machine.registers import RunError
from models import golden
from models.errors import SkipstoneError
from models.golden.elementwise import dequantise
from sim.accelerator_samples import SMALL, random_images, random_network

NETWORK = random_network(2)
PROGRAM = describe_program(compile_network(NETWORK, SMALL))
(OUTPUT,) = NETWORK.outputs


def fake_machine(config=SMALL):
    """A machine that runs `PROGRAM`, layer by layer, with the golden model."""

    def packets(name, values):
        tensor = PROGRAM.tensor(name)
        return to_packets(values, tensor.map, tensor.zero_point, SMALL.core)

    def compute(entry, memory):
        source = PROGRAM.tensor("input")
        values = from_packets(memory["input"], source.map, source.zero_point, SMALL.core)
        return packets(entry.tensor, golden.run(NETWORK, values[np.newaxis])[entry.tensor][0])

    size = len(packets("input", np.zeros((10, 10, 3), np.int8)))
    entries = [FakeEntry(getattr(Operation, entry.operation), entry.tensor, size) for entry in PROGRAM.entries]
    return FakeMachine(config, entries, compute)


@pytest.fixture
def machine():
    return fake_machine()


def open_fake(machine, timeout=0.2):
    link: Any = FakeLink(machine)
    return Accelerator(Device(link, "fake", timeout))


@pytest.fixture
def accelerator(machine):
    accelerator = open_fake(machine)
    accelerator.load(PROGRAM)
    return accelerator


def expected(image):
    return golden.run(NETWORK, image[np.newaxis])


def test_the_identity_is_that_of_the_configuration(machine):
    identity = open_fake(machine).identity
    assert identity.version == (1, 0)
    assert (identity.groups, identity.lanes, identity.fingerprint) == (2, 4, SMALL.fingerprint)
    assert (identity.program_depth, identity.link_words, identity.activation_words) == (2048, 64, 256)


def test_a_program_is_loaded_once(machine):
    accelerator = open_fake(machine)
    told = []
    assert accelerator.load(PROGRAM, lambda done, total: told.append((done, total)))
    image = PROGRAM.image.data
    assert machine.program[: len(image)] == image
    assert told[-1] == (len(image), len(image)) and len(told) == -(-len(image) // (4 * SMALL.link_words))
    assert machine.written == sorted(set(machine.written)), "no word is written twice"
    written = len(machine.written)
    assert not accelerator.load(PROGRAM)
    assert not open_fake(machine).load(PROGRAM), "another driver finds it there"
    assert len(machine.written) == written
    machine.access(0x100000, write=True, data=1)
    assert accelerator.load(PROGRAM), "it is not verified any more"


@pytest.mark.parametrize("seed", range(3))
def test_a_run_gives_what_the_golden_model_gives(accelerator, seed):
    (image,) = random_images(NETWORK, 1, seed)
    for form in (image, image[np.newaxis], {"input": image}, dequantise(image, 0.05, -3).astype(np.float64)):
        outputs = accelerator.run(form)
        assert list(outputs) == [OUTPUT]
        np.testing.assert_array_equal(outputs[OUTPUT], expected(image)[OUTPUT])


def test_the_counters_are_those_of_the_last_run(machine, accelerator):
    assert accelerator.counters() == []
    accelerator.run(random_images(NETWORK, 1)[0])
    assert machine.starts == [(0, PROGRAM.last)]
    assert accelerator.cycles == sum(1000 + i for i in range(PROGRAM.last + 1))
    counters = accelerator.counters()
    assert [item.entry for item in counters] == list(PROGRAM.entries[: PROGRAM.last + 1])
    item = counters[2]
    assert (item.cycles, item.operations) == (1002, 500)
    shares = (item.busy, item.weights, item.activations, item.post)
    assert shares == pytest.approx((400 / 2004, 100 / 1002, 200 / 2004, 300 / 2004))


def test_every_tensor_can_be_read_after_its_layer(accelerator):
    (image,) = random_images(NETWORK, 1, 5)
    tensors = expected(image)
    accelerator.load_inputs(image)
    at = len(PROGRAM.inputs)
    for name, tensor in sorted(PROGRAM.tensors.items(), key=lambda item: item[1].written):
        if tensor.written >= at:
            accelerator.run_entries(at, tensor.written)
            assert accelerator.counters()[-1].entry is PROGRAM.entries[tensor.written]
            at = tensor.written + 1
        np.testing.assert_array_equal(accelerator.read_tensor(name), tensors[name])
    assert at == PROGRAM.run_stores[0]


def test_a_run_needs_a_program(machine):
    accelerator = open_fake(machine)
    with pytest.raises(AcceleratorError, match="no program is loaded"):
        accelerator.run(random_images(NETWORK, 1)[0])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"groups": 4}, "groups 4, not 2, fingerprint"),
        ({"lanes": 8, "post_lanes": 8}, "lanes 8, not 4, fingerprint"),
        ({"activation_depth": 64}, "words of activation memory 128, not 256, fingerprint"),
        ({"fetch_depth": 2}, "has fingerprint"),
    ],
)
def test_another_configuration_is_refused(changes, told):
    other = replace(SMALL, core=SMALL.core.with_changes(**changes))
    machine = fake_machine(other)
    accelerator = open_fake(machine)
    with pytest.raises(AcceleratorError) as refused:
        accelerator.load(PROGRAM)
    line = str(refused.value)
    assert told in line and f"{other.fingerprint:#010x}, not {SMALL.fingerprint:#010x}" in line
    assert not machine.written
    with pytest.raises(AcceleratorError, match="no program is loaded"):
        accelerator.run(random_images(NETWORK, 1)[0])


def test_what_is_no_accelerator_is_refused(machine):
    machine.values[registers.IDENTITY.address] = 0x12345678
    with pytest.raises(AcceleratorError, match="is no Skipstone accelerator"):
        open_fake(machine)


@pytest.mark.parametrize(("version", "known"), [(0x0002_0000, False), (0x0001_0007, True)])
def test_only_its_own_generation_of_registers(machine, version, known):
    machine.values[registers.VERSION.address] = version
    if known:
        assert open_fake(machine).identity.version == (1, 7)
    else:
        with pytest.raises(AcceleratorError, match=r"are of version 2\.0, but this driver knows 1\.x"):
            open_fake(machine)


class _Nothing:
    """A transport that nothing answers on."""

    closed = False

    def __str__(self):
        return "nowhere"

    def write(self, data):
        pass

    def read(self, timeout):
        return b""

    def close(self):
        self.closed = True


def test_a_silent_device_is_one_line_and_the_port_is_closed():
    transport = _Nothing()
    with pytest.raises(SilentDeviceError, match=r"^nowhere: "):
        Accelerator.open(transport, link_timeout=0.01)
    assert transport.closed


BAD_INPUTS = {
    "shape": (np.zeros((10, 11, 3), np.int8), r"has the shape \[10, 11, 3\], but must have \[1, 10, 10, 3\]"),
    "batch": (np.zeros((2, 10, 10, 3), np.int8), r"has the shape \[2, 10, 10, 3\]"),
    "type": (np.zeros((10, 10, 3), np.int32), "is of type int32"),
    "pixels": (np.zeros((10, 10, 3), np.uint8), "is of type uint8"),
    "infinite": (np.full((10, 10, 3), np.inf), "not a finite number"),
    "name": ({"image": np.zeros((10, 10, 3), np.int8)}, "inputs image were given; it takes input"),
    "none": ({}, "inputs none were given"),
}


@pytest.mark.parametrize("fault", BAD_INPUTS)
def test_a_bad_input_is_refused_before_the_run(machine, accelerator, fault):
    values, line = BAD_INPUTS[fault]
    with pytest.raises(SkipstoneError, match=line):
        accelerator.run(values)
    assert machine.starts == []


@pytest.mark.parametrize("code", [RunError.BAD_ENTRY, RunError.RANGE, RunError.PACKET, RunError.INTERNAL])
@pytest.mark.parametrize("entry", [0, 3, PROGRAM.last])
def test_an_error_names_the_entry_and_the_next_run_works(machine, accelerator, code, entry):
    (image,) = random_images(NETWORK, 1)
    machine.broken = (entry, code)
    with pytest.raises(StoppedError) as stopped:
        accelerator.run(image)
    assert (stopped.value.code, stopped.value.entry) == (code, entry)
    line = str(stopped.value)
    assert line.startswith(f"fake: the accelerator stopped with {code.name}: ") and "\n" not in line
    assert line.endswith(f"(in entry {entry}, {PROGRAM.entries[entry].name})")
    machine.broken = None
    np.testing.assert_array_equal(accelerator.run(image)[OUTPUT], expected(image)[OUTPUT])


def test_a_start_while_busy_is_told_and_the_next_run_works(machine, accelerator):
    (image,) = random_images(NETWORK, 1)
    accelerator.device.start(0, 1)
    with pytest.raises(SkipstoneError, match="not possible in the state"):  # the registers are locked
        accelerator.run(image)
    accelerator.device.start(0, 1)
    accelerator.device.set(registers.CONTROL, start=1)
    with pytest.raises(StoppedError, match=r"START_WHILE_BUSY: .*one program at a time"):
        accelerator.device.wait("end", lambda status: False)
    accelerator.clear()
    np.testing.assert_array_equal(accelerator.run(image)[OUTPUT], expected(image)[OUTPUT])


def test_a_memory_that_keeps_nothing_is_told(machine):
    machine.access = lambda address, write, data=0, access=machine.access: access(
        address, write, data ^ 1 if address == 0x100010 else data
    )
    accelerator = open_fake(machine)
    with pytest.raises(StoppedError, match="CHECKSUM: its program memory does not hold what was sent"):
        accelerator.load(PROGRAM)
    assert not machine.failed


def test_a_machine_that_hangs_is_told_and_cleared(machine, accelerator):
    (image,) = random_images(NETWORK, 1)
    machine.hangs = True
    with pytest.raises(AcceleratorError, match=r"did not take its input within 0\.2 s"):
        accelerator.run(image)
    assert not machine.busy
    machine.hangs = False
    np.testing.assert_array_equal(accelerator.run(image)[OUTPUT], expected(image)[OUTPUT])


@pytest.mark.parametrize("state", ["busy", "failed"])
def test_what_an_earlier_program_left_is_cleared(machine, state):
    accelerator = open_fake(machine)
    accelerator.load(PROGRAM)
    accelerator.device.start(0, 1)
    if state == "failed":
        accelerator.device.set(registers.CONTROL, start=1)
    assert getattr(machine, state)
    again = open_fake(machine)
    assert not (machine.busy or machine.failed)
    assert not again.load(PROGRAM)
    (image,) = random_images(NETWORK, 1)
    np.testing.assert_array_equal(again.run(image)[OUTPUT], expected(image)[OUTPUT])


def test_a_tensor_without_a_store_entry(accelerator):
    with pytest.raises(SkipstoneError, match="'softmax_9_out' is not in the activation memory"):
        accelerator.read_tensor("softmax_9_out")
    tensors = PROGRAM.tensors | {"input": replace(PROGRAM.tensors["input"], store=None)}
    accelerator.load(replace(PROGRAM, tensors=tensors))
    with pytest.raises(AcceleratorError, match="no entry that stores 'input'"):
        accelerator.read_tensor("input")


def test_closing_closes_the_link(machine):
    link: Any = FakeLink(machine)
    with Accelerator(Device(link, "fake", 1.0)):
        pass
    assert link.closed
