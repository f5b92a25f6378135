"""Small components that the flow is tested with: a sound one, and one for each fault it must find."""

from amaranth.hdl import Array, Cat, Module, Signal, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

PRODUCT = signed(17)
ACCUMULATOR = signed(32)


class MacLanes(wiring.Component):
    """Lanes that multiply an activation, of 9 bits, by a weight of 8 each from a memory, and accumulate."""

    def __init__(self, lanes: int, depth: int = 512) -> None:
        self.lanes, self.depth = lanes, depth
        super().__init__(
            {
                "activation": In(signed(9)),
                "clear": In(1),
                "read_address": In(range(depth)),
                "write_address": In(range(depth)),
                "write_data": In(8 * lanes),
                "write": In(1),
                "lane": In(range(lanes)),
                "sum": Out(ACCUMULATOR),
            }
        )

    @property
    def flip_flops(self) -> int:
        """Registers described, in bits."""
        return self.lanes * (PRODUCT.width + ACCUMULATOR.width) + 9 + ACCUMULATOR.width

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.weights = weights = memory.Memory(shape=8 * self.lanes, depth=self.depth, init=[])
        write, read = weights.write_port(), weights.read_port()
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write),
            read.addr.eq(self.read_address),
            read.en.eq(1),
        ]
        activation = Signal(signed(9))
        m.d.sync += activation.eq(self.activation)
        sums = Array(Signal(ACCUMULATOR, name=f"sum_{lane}") for lane in range(self.lanes))
        for lane, total in enumerate(sums):
            product = Signal(PRODUCT, name=f"product_{lane}", reset_less=True)
            m.d.sync += product.eq(activation * read.data.word_select(lane, 8).as_signed())
            m.d.sync += total.eq(total + product)
            with m.If(self.clear):
                m.d.sync += total.eq(0)
        m.d.sync += self.sum.eq(sums[self.lane])
        return m


class TwiceRegisteredProduct(wiring.Component):
    """A product behind two registers without a reset, which synth_ice40 turns into the constant 0."""

    def __init__(self) -> None:
        super().__init__({"a": In(signed(8)), "b": In(signed(8)), "product": Out(signed(16))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first = Signal(signed(16), reset_less=True)
        second = Signal(signed(16), reset_less=True)
        m.d.sync += [first.eq(self.a * self.b), second.eq(first)]
        m.d.comb += self.product.eq(second)
        return m


class UnclockedMemory(wiring.Component):
    """A memory read without a clock, which iCE40 has no RAM for, in a submodule."""

    def __init__(self, depth: int, width: int) -> None:
        self.depth, self.width = depth, width
        address = In(range(depth))
        super().__init__({"read": address, "write": address, "value": In(width), "q": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = inner = Module()
        inner.submodules.table = table = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, read = table.write_port(), table.read_port(domain="comb")
        m.d.comb += [write.addr.eq(self.write), write.data.eq(self.value), write.en.eq(1)]
        m.d.comb += read.addr.eq(self.read)
        # Behind logic, so that no register can make a clocked port of it.
        m.d.comb += self.q.eq(read.data + self.value)
        return m


class DelayLine(wiring.Component):
    """More registers than iCE40 UP5K has: 200 bits, delayed by 30 cycles."""

    def __init__(self) -> None:
        super().__init__({"a": In(200), "q": Out(200)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(30 * len(self.a))
        m.d.sync += line.eq(Cat(self.a, line))
        m.d.comb += self.q.eq(line[-len(self.q) :])
        return m
