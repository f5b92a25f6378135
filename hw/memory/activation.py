"""The activation memory: banks of words of several activations, shared by every reader and writer of feature maps.

::

    readers 0..R-1 --request--> +----------+     bank 0   +--------+
       (controllers, store)     | arbiter  | --> bank 1 ->| select | --response--> readers
                                | per bank |     ...      +--------+
    result writer, loader ----> +----------+

Word `a` lies in bank `a mod banks`, so that a run of words touches all banks in turn and readers rarely meet.
"""

from __future__ import annotations

from typing import Any

from amaranth import Array, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.memory.arbiter import RotatingArbiter, any_of, one_hot_mux
from hw.memory.single_port_memory import SinglePortMemory
from hw.memory.two_port_memory import TwoPortMemory
from hw.stream.delay import delay
from hw.stream.register import path_cut


def activation_word(config: CoreConfig) -> data.ArrayLayout:
    """Layout of an activation word: `word_elements` stored activations, element 0 in the least significant bits."""
    return data.ArrayLayout(config.activation_bits, config.word_elements)


class ActivationWrite(data.StructLayout):
    """A write: word address, data, and one enable an element."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "address": config.activation_address_bits,
                "data": activation_word(config),
                "enable": config.word_elements,
            }
        )


def read_latency(config: CoreConfig) -> int:
    """Cycles from the acceptance of a read request to its response, if no other reader comes first.

    One for the bank, one to select among several; in a large core, one each for the way from the reader to the
    arbiters, from there to the bank, and from the bank to the reader.
    """
    return 1 + (config.activation_banks > 1) + 3 * config.large


class ActivationMemory(wiring.Component):
    """Banked activation memory with arbitrated readers and two writers.

    Each bank serves one read and one write a cycle, of `single_port` one write or, if there is none, one read.
    Responses come `read_latency` cycles after the request was accepted (in a large core later, if another reader comes
    first), in order, and cannot be stalled: a reader asks only for what it can hold. `writes[0]` wins over
    `writes[1]`. A word is written in the cycle of its acceptance, in a large core in the next one. Nobody may read it
    in that cycle (old data would come); `collision` tells if it happened.

    Ports: `requests[R]` streams of word addresses; `responses[R]` {valid, data}; `writes[2]` streams of
    `ActivationWrite`;
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
        asked = self._asked(m)
        read_data, grants, collisions = [], [], []
        for bank in range(banks):
            word = activation_word(self.config)
            kind = SinglePortMemory if self.config.single_port else TwoPortMemory
            store = kind(word, self.config.activation_depth, parts=self.config.word_elements)
            m.submodules[f"bank_{bank}"] = store
            grants.append(self._connect_read(m, asked, store.read, bank, bank_bits))
            self._connect_write(m, store.write, bank, bank_bits)
            read_data.append(delay(m, store.read.data, int(self.config.large), name=f"read_{bank}"))
            same_word = store.read.address == store.write.address
            collisions.append(store.read.enable & store.write.enable.any() & same_word)
        m.d.comb += self.collision.eq(any_of(collisions))
        self._connect_responses(m, asked, grants, read_data, bank_bits)
        for index in range(2):
            self._connect_write_ready(m, index, bank_bits)
        return m

    def _asked(self, m: Module) -> list[stream.Interface]:
        """The requests, as the arbiters see them."""
        cuts = [path_cut(self.config, request.payload.shape()) for request in self.requests]
        for index, (cut, request) in enumerate(zip(cuts, self.requests, strict=True)):
            m.submodules[f"asked_{index}"] = cut
            connect(m, producer=flipped(request), consumer=cut.i)
        return [cut.o for cut in cuts]

    def _connect_read(self, m: Module, asked: list[stream.Interface], port: Any, bank: int, bank_bits: int) -> Value:
        """Arbitrate a bank's read port; returns the one-hot grant."""
        m.submodules[f"read_arbiter_{bank}"] = arbiter = RotatingArbiter(self.readers)
        cycles = int(self.config.large)
        for index, request in enumerate(asked):
            wanted = request.valid & (request.payload[:bank_bits] == bank)
            m.d.comb += arbiter.requests[index].eq(wanted & self._may_read(bank, bank_bits))
        rows = [
            delay(m, request.payload[bank_bits:], cycles, name=f"row_{bank}_{index}")
            for index, request in enumerate(asked)
        ]
        grant = delay(m, arbiter.grant, cycles, name=f"grant_{bank}", reset_less=False)
        m.d.comb += [
            arbiter.accept.eq(1),
            port.enable.eq(grant.any()),
            port.address.eq(one_hot_mux(grant, rows)),
        ]
        return arbiter.grant

    def _writes(self, bank: int, bank_bits: int) -> list[Value]:
        """Of each writer whether it wants to write to a bank."""
        return [write.valid & (write.payload.address[:bank_bits] == bank) for write in self.writes]

    def _may_read(self, bank: int, bank_bits: int) -> Value:
        return ~any_of(self._writes(bank, bank_bits)) if self.config.single_port else Const(1)

    def _connect_write(self, m: Module, port: Any, bank: int, bank_bits: int) -> None:
        first, second = self.writes
        wanted = self._writes(bank, bank_bits)
        enable = Signal.like(port.enable)
        with m.If(wanted[0]):
            m.d.comb += enable.eq(first.payload.enable)
        with m.Elif(wanted[1]):
            m.d.comb += enable.eq(second.payload.enable)
        address = Mux(wanted[0], first.payload.address[bank_bits:], second.payload.address[bank_bits:])
        word = Mux(wanted[0], Value.cast(first.payload.data), Value.cast(second.payload.data))
        cycles = int(self.config.large)
        m.d.comb += [
            port.address.eq(delay(m, address, cycles, name=f"write_address_{bank}")),
            port.data.eq(delay(m, word, cycles, name=f"write_data_{bank}")),
            port.enable.eq(delay(m, enable, cycles, name=f"write_enable_{bank}", reset_less=False)),
        ]

    def _connect_write_ready(self, m: Module, index: int, bank_bits: int) -> None:
        if index == 0:
            m.d.comb += self.writes[0].ready.eq(1)
            return
        first, second = self.writes
        same_bank = first.payload.address[:bank_bits] == second.payload.address[:bank_bits]
        m.d.comb += second.ready.eq(~(first.valid & same_bank))

    def _connect_responses(
        self,
        m: Module,
        asked: list[stream.Interface],
        grants: list[Value],
        read_data: list[Value],
        bank_bits: int,
    ) -> None:
        cycles = 1 + 2 * self.config.large
        for index, request in enumerate(asked):
            granted = any_of([grant[index] for grant in grants])
            # The bank's number selects with fewer LUTs than the one-hot grants would.
            bank = Signal(bank_bits, name=f"bank_of_{index}")
            arriving = Signal(name=f"arriving_{index}")
            response = self.responses[index]
            m.d.comb += request.ready.eq(granted)
            m.d.comb += [
                bank.eq(delay(m, request.payload[:bank_bits], cycles, name=f"bank_asked_{index}")),
                arriving.eq(delay(m, granted, cycles, name=f"granted_{index}", reset_less=False)),
            ]
            selected = Array(read_data)[bank]
            after = int(self.config.activation_banks > 1)
            m.d.comb += [
                response.valid.eq(delay(m, arriving, after, name=f"valid_{index}", reset_less=False)),
                Value.cast(response.data).eq(delay(m, selected, after, name=f"data_{index}")),
            ]
