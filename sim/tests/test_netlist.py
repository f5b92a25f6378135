"""The netlist is the design: what yosys made of a core runs the bench of the core, equal to the golden model."""

import pytest

from boards.synthesis.targets import ECP5, ICE40
from boards.synthesis.tools import ToolError
from hw.config import CoreConfig
from hw.core import Core
from sim.core_run import run_layers
from sim.harness import toolchain
from sim.harness.bench import build_bench
from sim.harness.cache import described_by
from sim.netlist import Netlist, netlist_sources
from sim.random_layers import LayerShape, make_layer
from sim.tests.cores import check, job

pytestmark = [
    pytest.mark.xdist_group("fpga-tools"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

SAME = ((1, 1), (1, 1))
SHAPES = (
    LayerShape((5, 6), 5, 6, kernel=(3, 3), padding=SAME, pool=2),
    LayerShape((4, 3), 18, 9, kernel=(1, 1)),
    LayerShape((1, 1), 20, 7, fully_connected=True),
)

# One core is the smallest there is; the other has the sparse codec, and the registers of a core of several groups.
ICE40_CORE = ICE40.config.with_changes(max_size=31, max_kernel=5, sparse_streams=False)
# All that makes a core small, but that feature maps may stream through it, as they do here.
SMALL_CORE = ICE40_CORE.with_changes(
    word_elements=4, product_registers=False, packed_parameters=True, single_port=True, lookahead=False
)
ECP5_CORE = ICE40.config.with_changes(groups=2, post_dsps=2, post_lanes=2, activation_banks=2)


def build(target, config: CoreConfig):
    """The bench of a core's netlist, compiled."""
    recipe = [repr(config), *described_by("hw", "boards", "sim/harness")]
    sources = netlist_sources(Core(config), target, recipe)
    return build_bench(Netlist(Core(config)), name="netlist_bench", verilog_sources=sources)


@pytest.mark.parametrize(
    ("target", "config"),
    [(ICE40, ICE40_CORE), (ICE40, SMALL_CORE), (ECP5, ECP5_CORE)],
    ids=["ice40", "ice40-small", "ecp5"],
)
def test_the_netlist_of_a_core_computes_layers_as_the_golden_model_does(target, config):
    try:
        model = build(target, config)
    except ToolError as error:
        pytest.skip(str(error))
    jobs = [job(make_layer(shape, seed), config, seed) for seed, shape in enumerate(SHAPES)]
    check(run_layers(model, jobs, config, seed=3, stalls="random"), f"netlist for {target.name}")
