"""Measures a convolution in NNgen's own simulation flow; runs in NNgen's environment, not in the project's.

usage: python nngen_layer.py SETTINGS, as JSON, in an empty folder; prints one line of JSON.

SETTINGS: `size` (height and width), `channels`, `maps`, `kernel`, `par_ich`, `par_och`, `concur_och` (null: NNgen's
choice), `bus_bits`. What it prints: `cycles` from the start command to the end, and `equal`: all outputs are those of
NNgen's own model.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import nngen
import numpy as np
import veriloggen.thread as vthread
from veriloggen import Module, Not, Posedge, Seq, Systask, simulation
from veriloggen.types import axi

WORD_BITS = 32
PAGE = 4096
SCRATCH_BYTES = 1 << 16
AFTER = "after.hex"
"""Where the simulation leaves its memory."""

_DONE = re.compile(r"cycles=\s*(\d+)")


def layer(settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The network of one int8 layer with a rectifier: its input, its weights and its output."""
    size, channels, maps, kernel = (settings[key] for key in ("size", "channels", "maps", "kernel"))
    image = nngen.placeholder(nngen.int8, shape=(1, *size, channels), name="image")
    weights = nngen.variable(nngen.int8, shape=(maps, kernel, kernel, channels), name="weights")
    result = nngen.conv2d(
        image,
        weights,
        strides=(1, 1, 1, 1),
        rshift_out=8,
        act_func=nngen.relu,
        dtype=nngen.int8,
        sum_dtype=nngen.int32,
        name="convolution",
        **{key: settings[key] for key in ("par_ich", "par_och", "concur_och")},
    )
    return image, weights, result


def pages(size: int) -> int:
    """That many bytes, rounded up to pages."""
    return -(-size // PAGE) * PAGE


def contents(settings: dict[str, Any], image: Any, weights: Any, result: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """The memory before the run, the output's place in it with what must stand there, and where it is free."""
    rng = np.random.default_rng(0)
    pixels, kernels = (rng.integers(-20, 21, tensor.shape, dtype=np.int64) for tensor in (image, weights))
    (expected,) = nngen.eval([result], image=pixels, weights=kernels)
    free = pages(max(tensor.addr + tensor.memory_size for tensor in (image, weights, result)))
    memory = np.zeros((free + SCRATCH_BYTES) * 8 // WORD_BITS, np.int64)
    bus = settings["bus_bits"] // 8
    for values, address in ((pixels, image.addr), (kernels, weights.addr)):
        axi.set_memory(memory, values, WORD_BITS, 8, address, max(bus, settings["par_ich"]))
    wanted = np.zeros_like(memory)
    axi.set_memory(wanted, expected, WORD_BITS, 8, result.addr, max(bus, settings["par_och"]))
    return memory, wanted, free


def bench(settings: dict[str, Any]) -> tuple[Module, int, np.ndarray]:
    """NNgen's hardware with a memory and a processor that starts it; where its output is, and the bytes it must be."""
    image, weights, result = layer(settings)
    hardware = nngen.to_veriloggen([result], "layer", silent=True, config={"maxi_datawidth": settings["bus_bits"]})
    memory, wanted, free = contents(settings, image, weights, result)
    top = Module("test")
    top.copy_params(hardware)
    ports = top.copy_sim_ports(hardware)
    clock, reset = ports["CLK"], top.Wire("RST")
    reset.assign(Not(ports["RESETN"]))
    # The best memory that there is: a beat a cycle, at once.
    ram = axi.AxiMemoryModel(
        top, "ram", clock, reset, datawidth=settings["bus_bits"], memimg=memory, memimg_datawidth=WORD_BITS,
        write_delay=1, read_delay=1, sleep_interval=0,
    )  # fmt: skip
    ram.connect(ports, "maxi")
    control = vthread.AXIMLite(top, "control", clock, reset, noio=True)
    control.connect(ports, "saxi")
    counter, over = top.Reg("counter", 32, initval=0), top.Reg("over", initval=0)
    Seq(top, "counting", clock, reset)(counter.inc())

    def process() -> None:
        nngen.sim.set_global_addrs(control, free)
        begin = counter.value
        nngen.sim.start(control)
        nngen.sim.wait(control)
        cycles = counter - begin
        print("cycles=%d" % cycles)  # noqa: UP031  # it becomes Verilog, which has this form only
        over.value = 1

    vthread.Thread(top, "processor", clock, reset, process).start()
    top.Always(Posedge(over))(Systask("writememh", AFTER, ram.mem), Systask("finish"))
    top.Instance(hardware, "hardware", params=top.connect_params(hardware), ports=top.connect_ports(hardware))
    simulation.setup_clock(top, clock, hperiod=5)
    simulation.setup_reset(top, ports["RESETN"], top.make_reset(), period=100, polarity="low")
    place = slice(result.addr, result.addr + result.memory_size)
    return top, result.addr, wanted.astype("<u4").view(np.uint8)[place]


def left(size: int, address: int) -> np.ndarray:
    """The bytes that the simulation has left there."""
    words = [word for line in Path(AFTER).read_text().splitlines() for word in line.split("//")[0].split()]
    return np.array([-1 if "x" in word else int(word, 16) for word in words[address : address + size]])


def main() -> None:
    """Simulate and print what was measured."""
    top, address, wanted = bench(json.loads(sys.argv[1]))
    said = simulation.Simulator(top, sim="iverilog").run()
    found = _DONE.search(said)
    if found is None:
        sys.exit(f"NNgen's simulation ended without a result: {said[-400:]}")
    equal = np.array_equal(left(len(wanted), address), wanted)
    print(json.dumps({"cycles": int(found[1]), "equal": equal, "non_zero": round(float((wanted != 0).mean()), 3)}))


if __name__ == "__main__":
    main()
