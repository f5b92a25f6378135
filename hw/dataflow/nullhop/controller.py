"""A controller: everything between a unit of work and the operations of one space group."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.control.descriptor import InputLayout, WindowLayout
from hw.dataflow.nullhop.layouts import PixelOperation, WordContext, WorkUnit
from hw.dataflow.nullhop.map_decoder import MapDecoder
from hw.dataflow.nullhop.walker import WindowWalker
from hw.memory.activation import activation_word
from hw.memory.word_reader import Word, WordReader, WordRequest
from hw.stream.register import forward_cut, path_cut


class Controller(wiring.Component):
    """walker -> reader -> sparsity-map decoder, with registers where a path is cut.

    Cycles of a unit in the steady state: the larger of its operations (non-zero activations under its window, plus
    one for each result whose last word is all zero) and of its steps (words under its window, plus one for each tap,
    plus one for each tap in the padding; a whole row of taps above or below the map counts as one tap).

    Ports: `units` In stream, `operations` Out stream; `request`, `response` to the activation memory; static `input`,
    `window`, `weights_base`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "weights_base": In(config.weight_address_bits),
                "units": In(stream.Signature(WorkUnit(config))),
                "operations": Out(stream.Signature(PixelOperation(config))),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "response": In(wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.walker = walker = WindowWalker(self.config)
        # Cuts the path from the memory's arbiters to the walker's counters.
        m.submodules.step_cut = step_cut = path_cut(self.config, WordRequest(self.config, WordContext(self.config)))
        # Between the reader's queue, whose memory is slow to read, and the decoder.
        m.submodules.word_cut = word_cut = forward_cut(self.config, Word(self.config, WordContext(self.config)))
        m.submodules.reader = reader = WordReader(self.config, WordContext(self.config))
        m.submodules.decoder = decoder = MapDecoder(self.config)
        # Static during a pass, and there two cycles before it: in a large core each controller has a copy nearby.
        domain = m.d.sync if self.config.large else m.d.comb
        domain += [
            walker.input.eq(self.input),
            walker.window.eq(self.window),
            walker.weights_base.eq(self.weights_base),
            decoder.threshold.eq(self.input.threshold),
        ]
        connect(m, producer=flipped(self.units), consumer=walker.units)
        connect(m, producer=walker.steps, consumer=step_cut.i)
        connect(m, producer=step_cut.o, consumer=reader.requests)
        connect(m, producer=reader.request, consumer=flipped(self.request))
        connect(m, producer=flipped(self.response), consumer=reader.response)
        connect(m, producer=reader.words, consumer=word_cut.i)
        connect(m, producer=word_cut.o, consumer=decoder.words)
        connect(m, producer=decoder.operations, consumer=flipped(self.operations))
        return m
