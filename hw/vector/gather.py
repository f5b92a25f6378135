"""The gatherer: from the words of a window to beats of sums, maxima or pairs of operands."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import Operation, VectorLayout
from hw.memory.word_reader import Word
from hw.stream.register import StreamRegister
from hw.vector.layouts import BeatTag, GatheredBeat, WordTag, element_shape, sum_shape


class _DecodedWord(data.StructLayout):
    """The elements of a word; `counts`: they are to be added."""

    def __init__(self, config: CoreConfig) -> None:
        elements = data.ArrayLayout(element_shape(config), config.word_elements)
        super().__init__({"elements": elements, "counts": 1, "tag": WordTag(config)})


class _GatheredWord(data.StructLayout):
    """A window's word, or a word of both operands of an addition; its last position's tag, its parameters' entry."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "values": data.ArrayLayout(sum_shape(config), config.word_elements),
                "others": data.ArrayLayout(element_shape(config), config.word_elements),
                "tag": WordTag(config),
                "entry": BeatTag(config)["entry"].shape,
            }
        )


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
        m.submodules.decoded = decoded = StreamRegister(_DecodedWord(self.config))
        self._decode(m, decoded)
        word, tag = decoded.o.payload, decoded.o.payload.tag
        free, continues, finished = Signal(), Signal(), Signal()
        m.d.comb += [
            # Only the last word of a window ever waits.
            decoded.o.ready.eq(~tag.last | free),
            continues.eq(decoded.o.valid & ~tag.last),
            finished.eq(decoded.o.valid & tag.last & free),
        ]
        total = self._combine(m, word, continues, finished)
        before = self._positions_before(m, decoded.o)
        gathered = Signal(_GatheredWord(self.config), reset_less=True)
        with m.If(free):
            # Whether it is a whole window or not: what is not finished is not emitted.
            m.d.sync += [
                gathered.values.eq(total),
                gathered.others.eq(word.elements),
                gathered.tag.eq(tag),
                gathered.entry.eq(before),
            ]
        self._emit(m, gathered, tag, finished, free)
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

    def _positions_before(self, m: Module, word: stream.Interface) -> Value:
        """Positions of the window before this one, if they count: at the last one the entry of the parameters."""
        following = Signal.like(self.beats.payload.tag.entry)
        count = Mux(word.payload.tag.first | ~self.vector.parameters_by_count, 0, following)
        with m.If(word.valid & word.ready):
            m.d.sync += following.eq(count + 1)
        return count

    def _combine(self, m: Module, word: Value, continues: Value, finished: Value) -> Value:
        """The sum or maximum of a window up to this word; for an addition the first operand.

        Four inputs are left for the last choice, which is one LUT4 a bit: a sum starts from zero, a maximum from below
        every element, and what is not added is zero.
        """
        shape = data.ArrayLayout(sum_shape(self.config), self.config.word_elements)
        running, total = Signal(shape), Signal(shape)
        compares, first = Signal(), word.tag.first
        m.d.sync += compares.eq(self.operation == Operation.MAXIMUM)
        for element, before, after in zip(word.elements, running, total, strict=True):
            added = before + Mux(word.counts, element, 0)
            larger = self._ordered(element, Const(1, 1)) > self._ordered(before[: len(element)], ~first)
            m.d.comb += after.eq(Mux(compares & larger, element, added))
        with m.If(finished):
            m.d.sync += running.eq(0)
        with m.Elif(continues):
            m.d.sync += running.eq(total)
        return total

    @staticmethod
    def _ordered(element: Value, counts: Value) -> Value:
        """An unsigned number in the order of the elements, whose comparison is a carry alone; lowest if it is none."""
        return Cat(element[:-1], ~element[-1], counts)

    def _emit(self, m: Module, gathered: data.View, upcoming: data.View, loaded: Value, free: Value) -> None:
        """Beat after beat of the gathered word."""
        emitting = Signal()
        beat, last_beat = self._count_beats(m, loaded, upcoming, gathered.tag)
        payload = self.beats.payload
        m.d.comb += [
            free.eq(~emitting | (self.beats.ready & last_beat)),
            self.beats.valid.eq(emitting),
            payload.tag.pixel_end.eq(last_beat & gathered.tag.pixel_end),
            payload.tag.row_end.eq(gathered.tag.row_end),
            payload.tag.sequence.eq(gathered.tag.sequence),
            payload.tag.entry.eq(gathered.entry),
        ]
        with m.If(free):
            m.d.sync += emitting.eq(loaded)
        for part, whole in ((payload.values, gathered.values), (payload.others, gathered.others)):
            chosen = Value.cast(whole).word_select(beat, len(Value.cast(part)))
            m.d.comb += Value.cast(part).eq(chosen)

    def _count_beats(self, m: Module, loaded: Value, upcoming: data.View, held: data.View) -> tuple[Value, Value]:
        """The beat that waits, and whether it is the last of its word; known a cycle ahead, for the path to `words`.

        Of a pixel's last word only those beats come that the layer has.
        """
        beats = self.config.word_elements // self.config.post_lanes
        beat, last_beat = Signal(range(beats)), Signal()
        leaves = self.beats.valid & self.beats.ready
        following = Signal.like(beat)
        m.d.comb += following.eq(Mux(loaded, 0, beat + 1))
        with m.If(leaves | loaded):
            pixel_end = Mux(loaded, upcoming.pixel_end, held.pixel_end)
            m.d.sync += [
                beat.eq(following),
                last_beat.eq(following == Mux(pixel_end, self.vector.beats_last, beats - 1)),
            ]
        return beat, last_beat
