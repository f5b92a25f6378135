"""The window memory: the vectors under a window, from which any L neighbouring channels are read at once."""

from __future__ import annotations

from amaranth import Array, Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from hw.config import CoreConfig
from hw.control.descriptor import EdgesLayout, InputLayout
from hw.dataflow.csc.fetcher import next_vector
from hw.dataflow.csc.layouts import window_pointer, window_vector
from hw.memory.activation import activation_word
from hw.memory.two_port_memory import TwoPortMemory


class WindowMemory(wiring.Component):
    """A ring of vectors in two memories, even and odd ones, so that two neighbours are read together; and a rotator.

    ::

        words --> part of `lanes` --> sign --+--> even vectors --+--> rotator --> activations
                                             +--> odd vectors  --+

    A stored byte s means s - 2**b where s > `threshold`, else s; signed distances from the zero point are what is
    kept. Of a word that comes, the part that the `edges` want next is kept. A vector that came in a cycle can be read
    in the next; activations follow a read by a cycle, and stay until the next one.

    Ports: static `input`, `edges`, `vector` (the first of a pixel); `response` from the activation memory; `arrived`
    (vectors that have come, as a pointer); `read` (pulse) with `pointer`, `shift`, `broadcast` as in `Step`;
    `activations`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "edges": In(EdgesLayout(config)),
                "vector": In(range(config.max_vectors)),
                "response": In(response),
                "arrived": Out(window_pointer(config)),
                "read": In(1),
                "pointer": In(window_pointer(config)),
                "shift": In(ceil_log2(config.lanes)),
                "broadcast": In(1),
                "activations": Out(window_vector(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.config.window_depth // 2
        even, odd = (TwoPortMemory(window_vector(self.config), depth) for _ in range(2))
        m.submodules.even, m.submodules.odd = even, odd
        m.d.sync += self.arrived.eq(self.arrived + self.response.valid)
        vector = self._signed(self._kept(m))
        for number, memory in enumerate((even, odd)):
            m.d.comb += [
                memory.write.address.eq(self.arrived >> 1),
                memory.write.enable.eq(self.response.valid & (self.arrived[0] == number)),
                memory.write.data.eq(vector),
                memory.read.enable.eq(self.read),
                memory.read.address.eq((self.pointer + 1 - number) >> 1),
            ]
        self._rotate(m, even.read.data, odd.read.data)
        return m

    def _kept(self, m: Module) -> Value:
        """The part of the word that has come: of `lanes` elements."""
        lanes, word = self.config.lanes, Cat(self.response.data)
        parts = exact_log2(self.config.word_elements // lanes)
        if not parts:
            return word
        # Counts as the fetcher does; between passes, from wherever the next one begins.
        vector, count, begun = Signal.like(self.vector), Signal.like(self.edges.vectors_last), Signal()
        now = Mux(begun, vector, self.vector)
        with m.If(self.response.valid):
            m.d.sync += [begun.eq(1), count.eq(count + 1), vector.eq(next_vector(now, self.edges))]
            with m.If(count == self.edges.vectors_last):
                m.d.sync += [begun.eq(0), count.eq(0)]
        bits = lanes * self.config.activation_bits
        return Array(word[at : at + bits] for at in range(0, len(word), bits))[now[:parts]]

    def _signed(self, kept: Value) -> Value:
        stored = data.View(data.ArrayLayout(self.config.activation_bits, self.config.lanes), kept)
        return Cat(Cat(value, value > self.input.threshold) for value in stored)

    def _rotate(self, m: Module, even: Value, odd: Value) -> None:
        """Element e of the first vector where e is not below `shift`, else of the second; then all `shift` down."""
        lanes, width = self.config.lanes, self.config.operand_bits
        shift, broadcast, first_odd = Signal.like(self.shift), Signal(), Signal()
        with m.If(self.read):
            m.d.sync += [shift.eq(self.shift), broadcast.eq(self.broadcast), first_odd.eq(self.pointer[0])]
        elements = []
        for element in range(lanes):
            part = slice(element * width, (element + 1) * width)
            of_odd = first_odd ^ (shift > element)
            elements.append(Mux(of_odd, odd[part], even[part]))
        for stage in range(len(shift)):
            moved = elements[1 << stage :] + elements[: 1 << stage]
            elements = [Mux(shift[stage], far, near) for far, near in zip(moved, elements, strict=True)]
        lowest = Signal(width)
        m.d.comb += lowest.eq(elements[0])
        m.d.comb += Value.cast(self.activations).eq(
            Cat(lowest, *(Mux(broadcast, lowest, element) for element in elements[1:]))
        )
