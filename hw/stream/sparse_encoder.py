"""The encoder of the feature-map stream: activation words to packets, sparse or dense."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.stream.compactor import Compactor
from hw.stream.layouts import FeatureBeat, PlainWord
from hw.stream.place_finder import PlaceFinder
from hw.stream.row_store import RowSplitter, RowStore
from hw.stream.word_slicer import WordSlicer


class SparseEncoder(wiring.Component):
    """Activation words to packets of the feature-map stream.

    ::

        words --> word slicer --slices--> place finder --> compactor --> row store --> beats

    Values go straight to their places in the row store. The place of a group's map is left free before them, and
    filled when the group is complete; only then do its rows leave.

    Cycles: one for each slice, from packet to packet too, and one more for each group of more than
    `row_units` - 16/`activation_bits` non-zero values, whose map cannot be written together with its last values.
    Slices are those of `WordSlicer`: with 16 elements a cycle a word is one slice, or two if a group ends within it, which
    happens only if words of less than 16 elements came before. Beats leave one a cycle; the store holds `STORE_ROWS`
    of `row_units` units. Latency from a packet's last word to its last beat: `LATENCY`, and one more if the group's map has
    to wait.

    Ports
    -----
    words : In(stream), PlainWord
        `ready` depends on the payload in the same cycle, but not on `beats.ready`.
    beats : Out(stream), FeatureBeat
    """

    LATENCY = 6

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "words": In(stream.Signature(PlainWord(config))),
                "beats": Out(stream.Signature(FeatureBeat(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slicer = slicer = WordSlicer(self.config)
        m.submodules.finder = finder = PlaceFinder(self.config)
        m.submodules.compactor = compactor = Compactor(self.config)
        m.submodules.store = store = RowStore(self.config)
        m.submodules.splitter = splitter = RowSplitter(self.config)
        connect(m, producer=flipped(self.words), consumer=slicer.words)
        connect(m, producer=slicer.slices, consumer=finder.slices)
        connect(m, producer=store.rows, consumer=splitter.rows)
        connect(m, producer=splitter.beats, consumer=flipped(self.beats))
        m.d.comb += [
            finder.oldest.eq(store.oldest),
            compactor.write.eq(finder.write),
            compactor.write_valid.eq(finder.write_valid),
            store.update.eq(compactor.update),
            store.update_valid.eq(compactor.update_valid),
        ]
        return m
