"""The rsnn front end: a fetcher and a transposer for all, and a processing unit for each group.

::

                                                         +--> processing unit 0 --> array
    fetcher --> activation memory --> transposer --------+--> processing unit 1 --> array
                                       (scratchpads)     +--> ...  |  ^
                                                             weight memories
"""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.config import CoreConfig
from hw.dataflow.ports import front_end_ports
from hw.dataflow.rsnn.fetcher import PixelFetcher
from hw.dataflow.rsnn.layouts import PixelContext
from hw.dataflow.rsnn.processing_unit import ProcessingUnit, all_done
from hw.dataflow.rsnn.transposer import Transposer
from hw.memory.word_reader import WordReader
from hw.stream.delay import delay


class RsnnFrontEnd(wiring.Component):
    """Feeds G groups: lane = pixel, one operation for each weight entry.

    All groups work on the same segment of outputs, each on kernels of its own, without waiting for each other as long
    as the vectors are there: a tile's places in the scratchpads are given back once all groups are done with it. The
    results of a segment are put together by the `SegmentCollector`, which also issues units to the retirement.

    Ports: see `hw.dataflow.ports`. The activation memory is read through the first group's port. `issued` are
    operations with a weight that is not zero.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(front_end_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.fetcher = fetcher = PixelFetcher(config)
        m.submodules.reader = reader = WordReader(config, PixelContext())
        m.submodules.transposer = transposer = Transposer(config)
        units = [ProcessingUnit(config) for _ in range(config.groups)]
        under_way = Signal(range(config.fetch_depth + 1))  # words asked for that have not come
        connect(m, producer=fetcher.requests, consumer=reader.requests)
        connect(m, producer=reader.request, consumer=flipped(self.requests[0]))
        connect(m, producer=flipped(self.responses[0]), consumer=reader.response)
        connect(m, producer=reader.words, consumer=transposer.words)
        m.d.comb += [
            fetcher.layer.eq(self.layer),
            fetcher.rows_loaded.eq(self.rows_loaded),
            fetcher.start.eq(self.start),
            transposer.layer.eq(self.layer),
            transposer.start.eq(self.start),
            # The groups may be done before all words have come; the next pass must not take them for its own.
            self.busy.eq(fetcher.busy | fetcher.requests.valid | (under_way != 0)),
        ]
        asked = fetcher.requests.valid & fetcher.requests.ready
        arrived = transposer.words.valid & transposer.words.ready
        m.d.sync += under_way.eq(under_way + asked - arrived)
        released = self._release(m, units, transposer)
        cycles = int(config.large)
        vector = delay(m, Value.cast(transposer.write.payload), cycles, name="vector")
        # The groups may be done before the last vectors are given out, which the next pass must not take for its own.
        comes = delay(m, transposer.write.valid & ~self.start, cycles, name="vector_comes", reset_less=False)
        for group, unit in enumerate(units):
            m.submodules[f"unit_{group}"] = unit
            connect(m, unit.weights, flipped(self.weights[group]))
            connect(m, producer=unit.operands, consumer=flipped(self.operands[group]))
            m.d.comb += [
                unit.layer.eq(self.layer),
                unit.weights_base.eq(self.weights_base),
                unit.start.eq(self.start),
                unit.tile_released.eq(released),
                unit.write.valid.eq(comes),
                Value.cast(unit.write.payload).eq(vector),
            ]
            operands = unit.operands
            m.d.comb += self.issued[group].eq(
                operands.valid & operands.ready & Value.cast(operands.payload.weights).any()
            )
        return m

    def _release(self, m: Module, units: list[ProcessingUnit], transposer: Transposer) -> Value:
        """Give a tile's places back when all groups have done it."""
        sparse = self.layer.sparse
        released, tile = Signal(), Signal.like(sparse.tiles_last)
        last = tile == sparse.tiles_last
        m.d.comb += released.eq(all_done(units))
        m.d.sync += transposer.room.eq(
            Mux(released & ~self.start, Mux(last, sparse.final_tile_vectors, sparse.tile_vectors), 0)
        )
        with m.If(self.start):
            m.d.sync += tile.eq(0)
        with m.Elif(released):
            m.d.sync += tile.eq(Mux(last, 0, tile + 1))
        return released
