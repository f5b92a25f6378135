"""The memory of the post-processing parameters of the maps in use and of those being loaded."""

from __future__ import annotations

from amaranth import Cat
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import PARAMETER_PLANES, CoreConfig
from hw.memory.two_port_memory import TwoPortMemory
from hw.post.layouts import MapParameters, ParameterWrite, parameter_entries


class ParameterMemory(wiring.Component):
    """parameter_slots x post_beats entries, each the `MapParameters` of `post_lanes` maps.

    A word of the memory is ordered plane by plane, so that a byte plane of all lanes is one part of it. An
    entry must not be read while it is written.

    Ports
    -----
    write : always ready In stream of ParameterWrite(config)
    address : In(range(entries))
    parameters : Out, P x MapParameters
        Those of `address` one cycle before.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(stream.Signature(ParameterWrite(config), always_ready=True)),
                "address": In(range(parameter_entries(config))),
                "parameters": Out(data.ArrayLayout(MapParameters, config.post_lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, write = self.config.post_lanes, self.write.payload
        word = data.ArrayLayout(data.ArrayLayout(8, lanes), PARAMETER_PLANES)
        m.submodules.store = store = TwoPortMemory(word, parameter_entries(self.config), parts=PARAMETER_PLANES)
        stored = data.View(word, store.read.data)
        m.d.comb += [
            store.read.address.eq(self.address),
            store.read.enable.eq(1),
            store.write.address.eq(write.address),
            store.write.data.eq(Value.cast(write.data).replicate(PARAMETER_PLANES)),
        ]
        for plane in range(PARAMETER_PLANES):
            m.d.comb += store.write.enable[plane].eq(self.write.valid & (write.plane == plane))
        for lane in range(lanes):
            planes = Cat(stored[plane][lane] for plane in range(PARAMETER_PLANES))
            m.d.comb += Value.cast(self.parameters[lane]).eq(planes)
        return m
