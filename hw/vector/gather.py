"""The gatherer: from the words of a window to beats of sums, maxima or pairs of operands."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import Operation, VectorLayout
from hw.memory.word_reader import Word
from hw.stream.register import StreamRegister
from hw.vector.layouts import GatheredBeat, WordTag, element_shape, sum_shape


class Gatherer(wiring.Component):
    """Takes one word a cycle, and gives `post_lanes` elements a cycle of the word before.

    ::

        words -> elements, register -> add or compare --+--> running values, register
                                                        +--> gathered values, register -> beats

    The last word of a window waits in its register until the beats of the window before have left. Latency from a
    window's last word to its first beat: 2.

    The stored byte s is read as the signed distance from the zero point: s - 2**b where s > threshold, else s.

    Ports: static `operation`, `vector`; `words` In stream of `Word` with `WordTag`, `beats` Out stream of
    `GatheredBeat`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "operation": In(Operation),
                "vector": In(VectorLayout(config)),
                "words": In(stream.Signature(Word(config, WordTag(config)))),
                "beats": Out(stream.Signature(GatheredBeat(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        elements = data.ArrayLayout(element_shape(config), WORD_ELEMENTS)
        m.submodules.decoded = decoded = StreamRegister(
            data.StructLayout({"elements": elements, "counts": 1, "tag": WordTag(config)})
        )
        self._decode(m, decoded)
        word, tag = decoded.o.payload.elements, decoded.o.payload.tag
        gathered = Signal(data.ArrayLayout(sum_shape(config), WORD_ELEMENTS))
        others = Signal(elements)
        held = Signal(WordTag(config))
        emitting, beat_done, free, taken = Signal(), Signal(), Signal(), Signal()
        count, entry = self._count_positions(m, taken, tag.first)
        total = self._combine(m, decoded.o.payload, taken)
        m.d.comb += [
            free.eq(~emitting | (self.beats.ready & beat_done)),
            decoded.o.ready.eq(~tag.last | free),
            taken.eq(decoded.o.valid & decoded.o.ready),
        ]
        with m.If(free):
            m.d.sync += emitting.eq(taken & tag.last)
        with m.If(taken & tag.last):
            m.d.sync += [gathered.eq(total), others.eq(word), held.eq(tag), entry.eq(count)]
        self._emit(m, emitting, beat_done, gathered, others, held, entry)
        return m

    def _decode(self, m: Module, decoded: StreamRegister) -> None:
        """What is to be added is marked: all of a sum, but only the first of an addition's operands."""
        first, second = self.vector.operands
        word = self.words.payload
        is_second, comes_second = Signal(), Signal()
        threshold = Signal.like(first.threshold)
        # Chosen a cycle ahead: the word comes out of a memory, and has a comparison before it.
        m.d.comb += comes_second.eq(is_second)
        with m.If(self.words.valid & self.words.ready):
            m.d.comb += comes_second.eq((self.operation == Operation.ADD) & word.meta.first)
        m.d.sync += [is_second.eq(comes_second), threshold.eq(Mux(comes_second, second.threshold, first.threshold))]
        m.d.comb += [
            decoded.i.valid.eq(self.words.valid),
            self.words.ready.eq(decoded.i.ready),
            decoded.i.payload.tag.eq(word.meta),
            decoded.i.payload.counts.eq(
                (self.operation == Operation.SUM) | ((self.operation == Operation.ADD) & word.meta.first)
            ),
        ]
        m.d.comb += [
            element.eq(Cat(stored, stored > threshold).as_signed())
            for element, stored in zip(decoded.i.payload.elements, word.data, strict=True)
        ]

    def _count_positions(self, m: Module, taken: Value, first: Value) -> tuple[Value, Value]:
        """Positions of the window before this one, and a register for the entry of a whole window."""
        entry = Signal.like(self.beats.payload.tag.entry)
        before, count = Signal.like(entry), Signal.like(entry)
        m.d.comb += count.eq(Mux(first | ~self.vector.parameters_by_count, 0, before))
        with m.If(taken):
            m.d.sync += before.eq(count + 1)
        return count, entry

    def _combine(self, m: Module, word: Value, taken: Value) -> Value:
        """The sum or maximum of a window up to this word; for an addition the first operand.

        Four inputs are left for the last choice, which is one LUT4 a bit: a sum starts from zero, a maximum from below
        every element, and what is not added is zero.
        """
        shape = data.ArrayLayout(sum_shape(self.config), WORD_ELEMENTS)
        running, total = Signal(shape), Signal(shape)
        compares, first = Signal(), word.tag.first
        m.d.sync += compares.eq(self.operation == Operation.MAXIMUM)
        for element, before, after in zip(word.elements, running, total, strict=True):
            added = before + Mux(word.counts, element, 0)
            larger = self._ordered(element, Const(1, 1)) > self._ordered(before[: len(element)], ~first)
            m.d.comb += after.eq(Mux(compares & larger, element, added))
        with m.If(taken):
            m.d.sync += running.eq(total)
        with m.If(taken & word.tag.last):
            m.d.sync += running.eq(0)
        return total

    @staticmethod
    def _ordered(element: Value, counts: Value) -> Value:
        """An unsigned number in the order of the elements: its comparison is a carry alone. Lowest if it doesn't count."""
        return Cat(element[:-1], ~element[-1], counts)

    def _emit(
        self, m: Module, emitting: Value, beat_done: Value, gathered: Value, others: Value, held: Value, entry: Value
    ) -> None:
        """Beat after beat of the gathered word; of a pixel's last word only those that the layer has."""
        beats = WORD_ELEMENTS // self.config.post_lanes
        payload = self.beats.payload
        beat = Signal(range(beats))
        m.d.comb += [
            beat_done.eq(beat == Mux(held.pixel_end, self.vector.beats_last, beats - 1)),
            self.beats.valid.eq(emitting),
            payload.tag.pixel_end.eq(beat_done & held.pixel_end),
            payload.tag.row_end.eq(held.row_end),
            payload.tag.sequence.eq(held.sequence),
            payload.tag.entry.eq(entry),
        ]
        for part, whole in ((payload.values, gathered), (payload.others, others)):
            width = len(Value.cast(part))
            m.d.comb += Value.cast(part).eq(Value.cast(whole).word_select(beat, width))
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += beat.eq(Mux(beat_done, 0, beat + 1))
