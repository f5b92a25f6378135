"""A processing unit: everything between a group's weight entries and its operands."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import UnitTag
from hw.dataflow.rsnn.entry_reader import EntryReader
from hw.dataflow.rsnn.layouts import VectorWrite, WeightStep, pixel_vector, vector_pointer
from hw.mac.operands import Operands
from hw.memory.two_port_memory import TwoPortMemory
from hw.memory.weights import weights_port

TILES_AHEAD = 3
"""Tiles by which a group may be ahead of the slowest one."""


class ProcessingUnit(wiring.Component):
    """One non-zero weight a cycle against the vector that its entry names.

    ::

        weight memory --> entry reader --> pointer --> scratchpad banks --> rotator --> operands
                                                            ^
        write (a vector a cycle, the same for all groups) --+

    Segment after segment, tile after tile, slot after slot. A step waits until its vector has arrived. The scratchpad
    has a bank for each pixel of a vector. Lane p takes bank (p + rotate) mod banks; where that wraps, the pixel comes
    from the next block, `plane_vectors` places behind. In a `shared` layer all lanes take what lane 0 takes, each with
    a weight of its own.

    Ports: static `layer`, `weights_base`; `start` (pulse); `write` In stream of `VectorWrite`; `weights` to the group's
    weight memory; `operands` Out stream; `tile_done`: pulse; `tile_released`: pulse, all groups have done a tile.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "weights_base": In(config.weight_address_bits),
                "start": In(1),
                "write": In(stream.Signature(VectorWrite(config), always_ready=True)),
                "weights": Out(weights_port(config)),
                "operands": Out(stream.Signature(Operands(config, UnitTag(config)))),
                "tile_done": Out(1),
                "tiles_done": Out(range(TILES_AHEAD + 1)),
                "tile_released": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = EntryReader(self.config)
        connect(m, reader.weights, flipped(self.weights))
        m.d.comb += [
            reader.weights_base.eq(self.weights_base),
            reader.start.eq(self.start),
            reader.shared.eq(self.layer.sparse.shared),
        ]
        step = Signal(WeightStep(self.config))
        there, done = Signal(), Signal()
        self._decode(m, reader, step, there, done)
        m.d.sync += self.tiles_done.eq(self.tiles_done + self.tile_done - self.tile_released)
        with m.If(self.start):
            m.d.sync += self.tiles_done.eq(0)
        self._issue(m, step, there, done)
        return m

    def _decode(self, m: Module, reader: EntryReader, step: Value, there: Value, done: Value) -> None:
        """Where an entry's vector lies, and where in the loops over tiles and slots it stands."""
        sparse, entry = self.layer.sparse, reader.entries.payload
        slot, tile, segment = Signal.like(step.slot), Signal.like(sparse.tiles_last), Signal(2)
        fresh = Signal()  # the entry is its kernel's first in this tile
        base, spare = Signal(vector_pointer(self.config)), Signal(range(self.config.window_banks))
        last_slot, last_tile, tile_done, taken = Signal(), Signal(), Signal(), Signal()
        origin = Mux(fresh, base, step.pointer)
        m.d.sync += spare.eq(self.config.window_banks - 1 - sparse.pixels_last)
        m.d.comb += [
            reader.entries.ready.eq(~there | done),
            taken.eq(reader.entries.valid & reader.entries.ready),
            last_slot.eq(slot == sparse.slots_last),
            last_tile.eq(tile == sparse.tiles_last),
            tile_done.eq(entry.end & last_slot),
            reader.rewind.eq(tile_done & last_tile),
        ]
        with m.If(reader.entries.ready):
            m.d.sync += there.eq(reader.entries.valid)
        with m.If(taken):
            m.d.sync += [
                step.pointer.eq(origin + entry.delta),
                step.rotate.eq(entry.rotate),
                step.wraps.eq(entry.rotate > spare),
                step.slot.eq(slot),
                step.first.eq(fresh & (tile == 0)),
                step.last.eq(entry.end & last_tile),
                step.tile_done.eq(tile_done),
                step.tag.map.eq(Array(reader.header.maps)[slot]),
                step.tag.segment.eq(segment),
                fresh.eq(entry.end),
                slot.eq(Mux(entry.end, Mux(last_slot, 0, slot + 1), slot)),
            ]
            for weight, own in zip(step.weights, reader.lane_weights, strict=True):
                m.d.sync += weight.eq(Mux(self._shared(), own, entry.value))
            with m.If(tile_done):
                size = Mux(last_tile, sparse.final_tile_vectors, sparse.tile_vectors)
                m.d.sync += [base.eq(base + size), tile.eq(Mux(last_tile, 0, tile + 1))]
                m.d.sync += segment.eq(segment + last_tile)
        with m.If(self.start):
            m.d.sync += [register.eq(0) for register in (there, base, slot, tile, segment)]
            m.d.sync += fresh.eq(1)

    def _issue(self, m: Module, step: Value, there: Value, done: Value) -> None:
        """Read the vector once it is there; a cycle later it goes to the array, rotated."""
        config, operands = self.config, self.operands.payload
        banks = config.window_banks
        arrived, following = Signal(vector_pointer(config)), Signal(vector_pointer(config))
        needed, may_end, ready = Signal(vector_pointer(config)), Signal(), Signal()
        rotate, tag = Signal.like(step.rotate), operands.tag
        m.d.comb += [
            following.eq(step.pointer + self.layer.sparse.plane_vectors),
            needed.eq(Mux(step.wraps, following, step.pointer)),
            may_end.eq(~step.tile_done | (self.tiles_done != TILES_AHEAD)),
            ready.eq(~self.operands.valid | self.operands.ready),
            # Vectors come in order, and none is further ahead or behind than the scratchpad holds.
            done.eq(there & ready & may_end & ~(arrived - needed - 1)[len(arrived) - 1]),
            self.tile_done.eq(done & step.tile_done),
        ]
        with m.If(self.start):
            m.d.sync += arrived.eq(0)
        with m.Elif(self.write.valid):
            m.d.sync += arrived.eq(self.write.payload.arrived)
        vector = self._scratchpad(m, step, following, done)
        with m.If(ready):
            m.d.sync += [
                self.operands.valid.eq(done & ~self.start),
                rotate.eq(step.rotate),
                operands.first.eq(step.first),
                operands.last.eq(step.last),
                tag.eq(step.tag),
            ]
            m.d.sync += operands.weights.eq(step.weights)
            m.d.sync += [index.eq(step.slot) for index in operands.index]
        m.d.comb += operands.mask.eq(Const(-1, config.lanes))
        pixels = self._rotated(vector, rotate, banks)[: config.lanes]
        for activation, pixel in zip(operands.activations, pixels, strict=True):
            m.d.comb += activation.eq(Mux(self._shared(), pixels[0], pixel).as_signed())

    def _shared(self) -> Value:
        """Whether all lanes take the same pixel, and each a weight of its own."""
        return self.layer.sparse.shared if self.config.shares_lanes else Const(0)

    def _scratchpad(self, m: Module, step: Value, following: Value, read: Value) -> list[Value]:
        """The banks; returns the vector that was read."""
        config, write = self.config, self.write.payload
        vector = []
        for bank, pixel in enumerate(pixel_vector(config)):
            shape = pixel[1].shape
            m.submodules[f"bank_{bank}"] = store = TwoPortMemory(shape, config.scratchpad_depth)
            m.d.comb += [
                store.write.address.eq(write.address),
                store.write.data.eq(write.data[bank]),
                store.write.enable.eq(self.write.valid),
                store.read.address.eq(Mux(step.rotate > bank, following, step.pointer)),
                store.read.enable.eq(read),
            ]
            vector.append(store.read.data)
        return vector

    @staticmethod
    def _rotated(vector: list[Value], amount: Value, banks: int) -> list[Value]:
        """Place p takes value (p + amount) mod banks."""
        for level in range(ceil_log2(banks)):
            vector = [Mux(amount[level], vector[(p + (1 << level)) % banks], value) for p, value in enumerate(vector)]
        return vector


def all_done(units: list[ProcessingUnit]) -> Value:
    """Whether every group has done a tile that has not been released."""
    return Cat(unit.tiles_done.any() for unit in units).all()
