"""The post-processor: from accumulators to stored activations."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, ShapeLike, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import CoreConfig
from hw.post.layouts import ParameterWrite, PostInput, PostOutput, value_shape
from hw.post.parameters import ParameterMemory
from hw.post.pooling import MaxPooling
from hw.post.requantise import Requantiser
from hw.stream.delay import delay
from hw.stream.queue import StreamQueue


class PostProcessor(wiring.Component):
    """Bias, requantisation, offset, clamp and max-pooling of `post_lanes` accumulators a cycle.

    ::

        results --+--> parameter memory, registers --> P x requantise --> max-pooling --> queue --+--> outputs
                  +--> destinations of `pool_last` beats ------------------------> queue --------+

    The pipeline itself never stalls: a result is accepted while there is room for its destination, and where
    there is room for a destination there is room for its activations. Both queues hold more beats than the
    pipeline, so that one beat is accepted in each cycle, and an output is valid `latency` cycles after its
    `pool_last` result was accepted, as long as the outputs are taken. No combinational path leads from
    `outputs` to `results`.

    Max-pooling is the maximum over the results of one slot from a `pool_first` to a `pool_last` beat. Any
    number of slots may have open windows at once. A beat with both set passes unchanged.

    Parameters
    ----------
    config : CoreConfig
    destination_shape : ShapeLike
        Shape of `PostInput.destination`.

    Attributes
    ----------
    latency : int

    Ports
    -----
    results : In stream of PostInput(config, destination_shape)
    outputs : Out stream of PostOutput(config, destination_shape)
    parameters : always ready In stream of ParameterWrite(config)
        Usable by results accepted in a later cycle. An entry must not be written while results that use it
        are accepted.
    offset : In(signed(operand_bits))
        Added to the requantised value, before the clamp.
    lower, upper : In(signed(operand_bits))
        The activation's bounds relative to the output's zero point, lower <= upper. They and the offset may change
        once no accepted result is without its output.
    """

    def __init__(self, config: CoreConfig, destination_shape: ShapeLike) -> None:
        self.config = config
        self._lanes = [Requantiser(config) for _ in range(config.post_lanes)]
        # The cycle of the parameter memory, and one more in a large core, since block RAM is slow to read.
        self._fetch = 1 + int(config.large)
        # Before requantisation, pooling, and the queue.
        self._pipeline = self._fetch + self._lanes[0].latency + MaxPooling.latency
        self.latency = self._pipeline + StreamQueue.latency
        super().__init__(
            {
                "results": In(stream.Signature(PostInput(config, destination_shape))),
                "outputs": Out(stream.Signature(PostOutput(config, destination_shape))),
                "parameters": In(stream.Signature(ParameterWrite(config), always_ready=True)),
                "offset": In(value_shape(config)),
                "lower": In(value_shape(config)),
                "upper": In(value_shape(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = self.results.payload
        depth = 1 << self.latency.bit_length()
        m.submodules.destinations = destinations = StreamQueue(result.destination.shape(), depth)
        m.submodules.activations = activations = StreamQueue(self.outputs.payload.data.shape(), depth)
        accepted = Signal()
        m.d.comb += [
            accepted.eq(self.results.valid & self.results.ready),
            self.results.ready.eq(destinations.i.ready),
            destinations.i.valid.eq(accepted & result.pool_last),
            destinations.i.payload.eq(result.destination),
        ]
        m.submodules.pooling = pooling = self._pooling(m, accepted)
        last = delay(m, accepted & result.pool_last, self._pipeline, name="last", reset_less=False)
        m.d.comb += activations.i.valid.eq(last)
        for lane, maximum in enumerate(pooling.maxima):
            m.d.comb += activations.i.payload[lane].eq(Value.cast(maximum)[: self.config.activation_bits])
        self._join(m, activations, destinations)
        return m

    def _requantised(self, m: Module) -> list[Value]:
        """The values of the lanes; those of a result come after its parameters' cycles and `Requantiser.latency`."""
        result = self.results.payload
        m.submodules.memory = memory = ParameterMemory(self.config)
        connect(m, flipped(self.parameters), memory.write)
        m.d.comb += memory.address.eq(result.parameters)
        accumulators = delay(m, Value.cast(result.accumulators), self._fetch, name="accumulators")
        parameters = delay(m, Value.cast(memory.parameters), self._fetch - 1, name="fetched")
        parameters = data.View(memory.parameters.shape(), parameters)
        accumulators = data.View(result.accumulators.shape(), accumulators)
        for number, lane in enumerate(self._lanes):
            m.submodules[f"lane_{number}"] = lane
            m.d.comb += [
                lane.accumulator.eq(accumulators[number]),
                lane.parameters.eq(parameters[number]),
                lane.offset.eq(self.offset),
                lane.lower.eq(self.lower),
                lane.upper.eq(self.upper),
            ]
        return [lane.value for lane in self._lanes]

    def _pooling(self, m: Module, accepted: Value) -> MaxPooling:
        result, pooling = self.results.payload, MaxPooling(self.config)
        cycles = self._pipeline - pooling.latency
        m.d.comb += [
            pooling.valid.eq(delay(m, accepted, cycles, name="accepted", reset_less=False)),
            pooling.first.eq(delay(m, result.pool_first, cycles, name="pool_first")),
            pooling.slot.eq(delay(m, result.slot, cycles, name="slot")),
        ]
        m.d.comb += [into.eq(value) for into, value in zip(pooling.values, self._requantised(m), strict=True)]
        return pooling

    def _join(self, m: Module, activations: StreamQueue, destinations: StreamQueue) -> None:
        """Take both queues together."""
        taken = Signal()
        m.d.comb += [
            self.outputs.valid.eq(activations.o.valid & destinations.o.valid),
            self.outputs.payload.data.eq(activations.o.payload),
            self.outputs.payload.destination.eq(destinations.o.payload),
            taken.eq(self.outputs.valid & self.outputs.ready),
            activations.o.ready.eq(taken),
            destinations.o.ready.eq(taken),
        ]
