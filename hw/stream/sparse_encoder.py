"""The encoder of the feature-map stream: activation words to packets, sparse or dense."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.stream.compactor import Compactor
from hw.stream.layouts import FeatureBeat, PlainWord
from hw.stream.place_finder import PlaceFinder
from hw.stream.register import path_cut
from hw.stream.row_store import RowSplitter, RowStore
from hw.stream.word_slicer import PlainSlice, WordSlicer


class SparseEncoder(wiring.Component):
    """Activation words to packets of the feature-map stream.

    ::

        words --> word slicer --slices--> place finder --> compactor --> row store --> beats

    In a large core the words, and the slices, go through a register.

    Values go straight to their places in the row store. The place of a group's map is left free before them,
    and filled when the group is complete; only then do its rows leave.

    Cycles: one for each slice, within a packet and from one to the next, and one more for each group of more
    than `row_units` - 16/`activation_bits` non-zero values: its map cannot be written together with its last
    values. Slices are those of `WordSlicer`: with 16 elements a cycle, a word is one slice, or two if a group
    ends within it, which happens only after words of less than 16 elements. Beats leave one a cycle; until
    then the row store holds almost `STORE_ROWS` rows of `row_units` units (a beat, or several if a beat has
    less than `codec_elements` units).

    Ports
    -----
    words : In(stream), PlainWord
        `ready` does not depend on `beats.ready` in the same cycle; in a core of one group it does on the payload.
    beats : Out(stream), FeatureBeat

    Attributes
    ----------
    latency : int
        Cycles from a packet's last word to the first beat that it completes, if the word is one slice and no
        map waits.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._compactor = Compactor(config)
        cuts = 2 * int(config.large)
        self.latency = 1 + cuts + self._compactor.latency + RowStore.LATENCY
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
        m.submodules.compactor = compactor = self._compactor
        m.submodules.store = store = RowStore(self.config)
        m.submodules.splitter = splitter = RowSplitter(self.config)
        m.submodules.words_cut = words_cut = path_cut(self.config, PlainWord(self.config))
        m.submodules.slices_cut = slices_cut = path_cut(self.config, PlainSlice(self.config))
        connect(m, producer=flipped(self.words), consumer=words_cut.i)
        connect(m, producer=words_cut.o, consumer=slicer.words)
        connect(m, producer=slicer.slices, consumer=slices_cut.i)
        connect(m, producer=slices_cut.o, consumer=finder.slices)
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
