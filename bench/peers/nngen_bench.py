"""Generates NNgen's hardware and a bench for it; runs in NNgen's environment, not in the project's.

usage: python -m bench.peers.nngen_bench SETTINGS, as JSON, in an empty folder; prints one line of JSON.

SETTINGS: `par_ich`, `par_och`, `concur_och` (see `bench.peers.nngen_networks`), `bus_bits`, and, for a single layer,
`size` (height and width), `channels`, `maps` and `kernel`. It writes `HARDWARE`, the accelerator alone; `BENCH`, the
same with a memory at its bus and a processor that starts it, which prints `cycles=N` from the start command to the end
and takes the memory from `BEFORE` to `AFTER`; and `BEFORE`. What it prints: `address` of the output in that memory, the
bytes `wanted` there by NNgen's own model, null where channels are filled up to words, and the share that is `non_zero`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nngen
import numpy as np
import veriloggen.thread as vthread
from veriloggen import Module, Not, Posedge, Seq, Systask, simulation
from veriloggen.types import axi

from bench.peers.nngen_networks import LARGEST, network

HARDWARE, BENCH, TOP = "hardware.v", "bench.v", "accelerator"
BEFORE, AFTER = "before.hex", "after.hex"
WORD_BITS = 32
PAGE = 4096
SCRATCH_BYTES = 1 << 20


def pages(size: int) -> int:
    """That many bytes, rounded up to pages."""
    return -(-size // PAGE) * PAGE


def contents(settings: dict[str, Any], image: Any, result: Any) -> tuple[np.ndarray, list[int | None], int]:
    """The memory before the run, the bytes that the output must be, None where none belongs, and where it is free."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(-LARGEST, LARGEST + 1, image.shape, dtype=np.int64)
    (expected,) = nngen.eval([result], image=pixels)
    chunk = nngen.verilog.default_config["offchipram_chunk_bytes"]
    weights = nngen.export_ndarray([result], chunk)
    behind = -(-(image.addr + image.memory_size) // chunk) * chunk
    free = pages(max(behind + weights.size, result.addr + result.memory_size))
    memory = np.zeros((free + SCRATCH_BYTES) * 8 // WORD_BITS, np.int64)
    bus = settings["bus_bits"] // 8
    axi.set_memory(memory, pixels, WORD_BITS, 8, image.addr, max(bus, settings["par_ich"]))
    axi.set_memory(memory, weights, WORD_BITS, 8, behind)

    def placed(values: np.ndarray) -> np.ndarray:
        after = np.zeros_like(memory)
        axi.set_memory(after, values, WORD_BITS, 8, result.addr, max(bus, settings["par_och"]))
        return after.astype("<u4").view(np.uint8)[result.addr : result.addr + result.memory_size]

    there = placed(np.ones_like(expected))
    wanted = [int(byte) if used else None for byte, used in zip(placed(expected), there, strict=True)]
    return memory, wanted, free


def bench(settings: dict[str, Any]) -> tuple[Module, Module, int, list[int | None]]:
    """NNgen's hardware; its bench; where its output is, and the bytes that it must be."""
    image, result = network(settings)
    hardware = nngen.to_veriloggen([result], TOP, silent=True, config={"maxi_datawidth": settings["bus_bits"]})
    memory, wanted, free = contents(settings, image, result)
    top = Module("test")
    top.copy_params(hardware)
    ports = top.copy_sim_ports(hardware)
    clock, reset = ports["CLK"], top.Wire("RST")
    reset.assign(Not(ports["RESETN"]))
    # The best memory that there is: a beat a cycle, at once.
    ram = axi.AxiMemoryModel(
        top, "ram", clock, reset, datawidth=settings["bus_bits"], memimg=memory, memimg_name=BEFORE,
        memimg_datawidth=WORD_BITS, write_delay=1, read_delay=1, sleep_interval=0,
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
    return hardware, top, result.addr, wanted


def main() -> None:
    """Write the files and print what the output must be."""
    hardware, top, address, wanted = bench(json.loads(sys.argv[1]))
    Path(HARDWARE).write_text(hardware.to_verilog())
    Path(BENCH).write_text(top.to_verilog())
    values = [byte for byte in wanted if byte is not None]
    print(
        json.dumps({"address": address, "wanted": wanted, "non_zero": round(sum(map(bool, values)) / len(values), 3)})
    )


if __name__ == "__main__":
    main()
