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
from typing import Any

import nngen
import numpy as np
import veriloggen.thread as vthread
from veriloggen import Module, Not, Seq, simulation
from veriloggen.types import axi

WORD_BITS = 32
_MEMORY_WORDS = 1 << 20
_PAGE = 4096
_DONE = re.compile(r"cycles=\s*(\d+) wrong=\s*(\d+)")


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


def contents(settings: dict[str, Any], image: Any, weights: Any, result: Any) -> tuple[np.ndarray, int]:
    """The memory before the run, and the address of the expected output in it."""
    rng = np.random.default_rng(0)
    pixels, kernels = (rng.integers(-20, 21, tensor.shape, dtype=np.int64) for tensor in (image, weights))
    (expected,) = nngen.eval([result], image=pixels, weights=kernels)
    memory = np.zeros(_MEMORY_WORDS, np.int64)
    after = max(tensor.addr + tensor.memory_size for tensor in (image, weights, result))
    expected_at = -(-after // _PAGE) * _PAGE
    bus = settings["bus_bits"] // 8
    for values, address, parallel in (
        (pixels, image.addr, settings["par_ich"]),
        (kernels, weights.addr, settings["par_ich"]),
        (expected, expected_at, settings["par_och"]),
    ):
        axi.set_memory(memory, values, WORD_BITS, 8, address, max(bus, parallel))
    return memory, expected_at


def bench(settings: dict[str, Any]) -> Module:
    """NNgen's hardware with a memory at its bus, and a processor that starts it and compares."""
    image, weights, result = layer(settings)
    hardware = nngen.to_veriloggen([result], "layer", silent=True, config={"maxi_datawidth": settings["bus_bits"]})
    memory, expected_at = contents(settings, image, weights, result)
    scratch = expected_at + -(-result.memory_size // _PAGE) * _PAGE
    top = Module("test")
    top.copy_params(hardware)
    ports = top.copy_sim_ports(hardware)
    clock, reset = ports["CLK"], top.Wire("RST")
    reset.assign(Not(ports["RESETN"]))
    ram = axi.AxiMemoryModel(
        top, "ram", clock, reset, datawidth=settings["bus_bits"], memimg=memory, memimg_datawidth=WORD_BITS
    )
    ram.connect(ports, "maxi")
    control = vthread.AXIMLite(top, "control", clock, reset, noio=True)
    control.connect(ports, "saxi")
    counter = top.Reg("counter", 32, initval=0)
    Seq(top, "counting", clock, reset)(counter.inc())
    words = result.memory_size * 8 // WORD_BITS

    def process() -> None:
        nngen.sim.set_global_addrs(control, scratch)
        begin = counter.value
        nngen.sim.start(control)
        nngen.sim.wait(control)
        cycles = counter - begin
        wrong = 0
        for word in range(words):
            got = ram.read_word(word, result.addr, WORD_BITS)
            wanted = ram.read_word(word, expected_at, WORD_BITS)
            if got != wanted:
                wrong += 1
        print("cycles=%d wrong=%d" % (cycles, wrong))  # noqa: UP031  # it becomes Verilog, which has this form only
        vthread.finish()

    vthread.Thread(top, "processor", clock, reset, process).start()
    top.Instance(hardware, "hardware", params=top.connect_params(hardware), ports=top.connect_ports(hardware))
    simulation.setup_clock(top, clock, hperiod=5)
    simulation.setup_reset(top, ports["RESETN"], top.make_reset(), period=100, polarity="low")
    return top


def main() -> None:
    """Simulate and print what was measured."""
    said = simulation.Simulator(bench(json.loads(sys.argv[1])), sim="iverilog").run()
    found = _DONE.search(said)
    if found is None:
        sys.exit(f"NNgen's simulation ended without a result: {said[-400:]}")
    print(json.dumps({"cycles": int(found[1]), "equal": found[2] == "0"}))


if __name__ == "__main__":
    main()
