"""The activation memory: banks of 16-element words, shared by every reader and writer of feature maps.

::

    readers 0..R-1 --request--> +----------+     bank 0   +--------+
       (controllers, store)     | arbiter  | --> bank 1 ->| select | --response--> readers
                                | per bank |     ...      +--------+
    result writer, loader ----> +----------+

Word `a` lies in bank `a mod banks`, so that a run of words touches all banks in turn and readers rarely meet.
"""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.memory.arbiter import RotatingArbiter, any_of, one_hot_mux


def activation_word(config: CoreConfig) -> data.ArrayLayout:
    """Layout of an activation word: 16 stored activations, element 0 in the least significant bits."""
    return data.ArrayLayout(config.activation_bits, WORD_ELEMENTS)


class ActivationWrite(data.StructLayout):
    """A write: word address, data, and one enable an element."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "address": config.activation_address_bits,
                "data": activation_word(config),
                "enable": WORD_ELEMENTS,
            }
        )


READ_LATENCY = 2
"""Cycles from the acceptance of a read request to its response."""


class ActivationMemory(wiring.Component):
    """Banked activation memory with arbitrated readers and two writers.

    Each bank serves one read and one write a cycle. Responses come `READ_LATENCY` cycles after the request was accepted,
    in order, and cannot be stalled: a reader asks only for what it can hold. `writes[0]` wins over `writes[1]`. Nobody may
    read a word in the cycle in which it is written (the data would be undefined); `collision` tells if it happened.

    Ports: `requests[R]` streams of word addresses; `responses[R]` {valid, data}; `writes[2]` streams of `ActivationWrite`;
    `collision` (for simulation).
    """

    def __init__(self, config: CoreConfig, readers: int) -> None:
        self.config = config
        self.readers = readers
        response = wiring.Signature({"valid": Out(1), "data": Out(activation_word(config))})
        super().__init__(
            {
                "requests": In(stream.Signature(config.activation_address_bits)).array(readers),
                "responses": Out(response).array(readers),
                "writes": In(stream.Signature(ActivationWrite(config))).array(2),
                "collision": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        banks = self.config.activation_banks
        bank_bits = (banks - 1).bit_length()
        read_data, grants, collisions = [], [], []
        for bank in range(banks):
            store = memory.Memory(
                shape=activation_word(self.config), depth=self.config.activation_depth, init=[]
            )
            m.submodules[f"bank_{bank}"] = store
            read = store.read_port()
            grants.append(self._connect_read(m, read, bank, bank_bits))
            write = self._connect_write(m, store, bank, bank_bits)
            read_data.append(read.data)
            collisions.append(read.en & write.en.any() & (read.addr == write.addr))
        m.d.comb += self.collision.eq(any_of(collisions))
        self._connect_responses(m, grants, read_data)
        for index in range(2):
            self._connect_write_ready(m, index, bank_bits)
        return m

    def _connect_read(self, m: Module, port: memory.ReadPort, bank: int, bank_bits: int) -> Value:
        """Arbitrate a bank's read port; returns the one-hot grant."""
        m.submodules[f"read_arbiter_{bank}"] = arbiter = RotatingArbiter(self.readers)
        for index, request in enumerate(self.requests):
            m.d.comb += arbiter.requests[index].eq(request.valid & (request.payload[:bank_bits] == bank))
        rows = [request.payload[bank_bits:] for request in self.requests]
        m.d.comb += [
            arbiter.accept.eq(1),
            port.en.eq(arbiter.grant.any()),
            port.addr.eq(one_hot_mux(arbiter.grant, rows)),
        ]
        return arbiter.grant

    def _connect_write(self, m: Module, store: memory.Memory, bank: int, bank_bits: int) -> memory.WritePort:
        port = store.write_port(granularity=1)
        # The last assignment wins: writes[0] goes first where both want this bank.
        for write in reversed(list(self.writes)):
            with m.If(write.valid & (write.payload.address[:bank_bits] == bank)):
                m.d.comb += [
                    port.addr.eq(write.payload.address[bank_bits:]),
                    port.data.eq(write.payload.data),
                    port.en.eq(write.payload.enable),
                ]
        return port

    def _connect_write_ready(self, m: Module, index: int, bank_bits: int) -> None:
        if index == 0:
            m.d.comb += self.writes[0].ready.eq(1)
            return
        first, second = self.writes
        same_bank = first.payload.address[:bank_bits] == second.payload.address[:bank_bits]
        m.d.comb += second.ready.eq(~(first.valid & same_bank))

    def _connect_responses(self, m: Module, grants: list[Value], read_data: list[Value]) -> None:
        for index in range(self.readers):
            granted = Signal(len(grants), name=f"granted_{index}")
            for bank, grant in enumerate(grants):
                m.d.comb += granted[bank].eq(grant[index])
            selected = Signal.like(granted, name=f"selected_{index}")
            m.d.comb += self.requests[index].ready.eq(granted.any())
            m.d.sync += [
                selected.eq(granted),
                self.responses[index].valid.eq(selected.any()),
                Value.cast(self.responses[index].data).eq(
                    one_hot_mux(selected, [Value.cast(word) for word in read_data])
                ),
            ]
