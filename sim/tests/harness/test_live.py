"""Simulations that talk while they run: every byte arrives once, in order, and an idle core costs nothing."""

import os
import time

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.harness import toolchain
from sim.harness.chunks import CHUNK_BYTES
from sim.harness.live_bench import build_live_bench
from sim.harness.live_run import LiveSimulation
from sim.harness.runner import SimulationError
from sim.harness.stalls import PROFILES
from sim.tests.harness.components import Fifo


class Echo(wiring.Component):
    """Answers each byte with the same; one of 128 or more after `byte` x 64 cycles, and if it is even, says meanwhile
    that it is busy. It counts the bytes since reset, and answers a 0 with the count."""

    def __init__(self):
        super().__init__({"bytes_in": In(stream.Signature(8)), "bytes_out": Out(stream.Signature(8)), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        left = Signal(14)
        byte = Signal(8)
        count = Signal(8)
        m.d.comb += self.bytes_out.payload.eq(Mux(byte == 0, count, byte))
        with m.FSM():
            with m.State("take"):
                m.d.comb += self.bytes_in.ready.eq(1)
                with m.If(self.bytes_in.valid):
                    late = self.bytes_in.payload[7]
                    m.d.sync += [
                        byte.eq(self.bytes_in.payload),
                        left.eq(Mux(late, self.bytes_in.payload << 6, 0)),
                        count.eq(count + 1),
                    ]
                    m.next = "work"
            with m.State("work"):
                m.d.comb += self.busy.eq(~byte[0])
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.next = "give"
            with m.State("give"):
                m.d.comb += self.bytes_out.valid.eq(1)
                with m.If(self.bytes_out.ready):
                    m.next = "take"
        return m


class BrokenEcho(wiring.Component):
    """Withdraws a byte that waits."""

    def __init__(self):
        super().__init__({"bytes_in": In(stream.Signature(8)), "bytes_out": Out(stream.Signature(8)), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        toggle = Signal()
        m.d.sync += toggle.eq(~toggle)
        m.d.comb += [self.bytes_in.ready.eq(1), self.bytes_out.valid.eq(toggle)]
        return m


@pytest.fixture(params=toolchain.SIMULATORS)
def model(request):
    if reason := toolchain.missing(request.param):
        pytest.skip(reason)
    return build_live_bench(Echo(), name="echo", simulator=request.param)


def receive(simulation: LiveSimulation, count: int, seconds: float = 30.0) -> bytes:
    """So many bytes, or fewer if they do not come."""
    data = b""
    while len(data) < count:
        more = simulation.receive(seconds)
        if not more:
            break
        data += more
    return data


@pytest.mark.parametrize("stalls", PROFILES)
def test_every_byte_comes_back_in_order(model, stalls):
    data = np.random.default_rng(3).integers(1, 128, 3 * CHUNK_BYTES + 5, dtype=np.uint8).tobytes()
    with LiveSimulation(model, seed=3, stalls=stalls) as simulation:
        simulation.send(data[:10])
        assert receive(simulation, 10) == data[:10]
        simulation.send(data[10:2000])
        simulation.send(data[2000:])
        assert receive(simulation, len(data) - 10) == data[10:]
        assert simulation.receive(0.2) == b"", "a byte too many"


def test_what_takes_long_is_waited_for_whether_the_core_says_so_or_not(model):
    with LiveSimulation(model) as simulation:
        for byte in (254, 255, 1):
            simulation.send(bytes([byte]))
            assert receive(simulation, 1) == bytes([byte])


def test_a_core_that_idles_costs_nothing(model):
    with LiveSimulation(model) as simulation:
        simulation.send(b"\x05")
        assert receive(simulation, 1) == b"\x05"
        deadline = time.monotonic() + 60
        while _child_seconds_in(0.3) > 0.05:
            assert time.monotonic() < deadline, "the simulator goes on working"
        simulation.send(b"\x06")
        assert receive(simulation, 1) == b"\x06"


def _child_seconds_in(seconds: float) -> float:
    """Processor time that this process's running children use in so many seconds."""
    begin = _children_seconds()
    time.sleep(seconds)
    return _children_seconds() - begin


def _children_seconds() -> float:
    ticks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat") as stream:
                    fields = stream.read().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            if int(fields[1]) == os.getpid():
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_a_reset_forgets_what_was_under_way(model):
    with LiveSimulation(model) as simulation:
        simulation.send(b"\x01\x02\x00")
        assert receive(simulation, 3) == b"\x01\x02\x03"
        simulation.send(b"\xfe" + b"\x07" * 20)
        simulation.reset()
        simulation.send(b"\x00")
        answer = receive(simulation, 1)
        assert answer == b"\x01", "the count begins anew, and nothing from before the reset comes"


def test_a_broken_rule_ends_it(model):
    broken = build_live_bench(BrokenEcho(), name="broken_echo", simulator=model.simulator)
    broken_rule = pytest.raises(SimulationError, match="a rule of a stream was broken")
    with broken_rule, LiveSimulation(broken, stalls="slow") as simulation:
        receive(simulation, 10_000)


def test_a_core_with_other_streams_is_refused():
    with pytest.raises(ValueError, match="bytes_in"):
        build_live_bench(Fifo(), name="fifo")
