"""The parameters of an accelerator core, validated, and the widths that follow from them.

A `CoreConfig` is the only thing that a component needs to know about the whole. Everything that has a width takes it
from here, so that a core with one lane and a core with 512 multipliers are the same description.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import gcd
from typing import Any

from amaranth.utils import ceil_log2

WORD_ELEMENTS = 16
"""Elements of an activation word, unless the configuration says otherwise: the width of NullHop's sparsity map."""

PARAMETER_PLANES = 9
"""Bytes of a map's post-processing parameters: bias (4), multiplier (4), shift (1), least significant first."""


SUM_BITS = 32
"""Width at which sums wrap in TensorFlow Lite's reference kernels."""

LARGEST = {"groups": 64, "lanes": 256, "accumulator_bits": SUM_BITS}
"""Groups and lanes: more multipliers than any FPGA has; what asks for more is a slip, and would take days to turn into
Verilog."""


DATAFLOWS = ("nullhop", "csc", "rsnn")
"""The dataflows that a core may have, each a flag of its configuration."""

FLAGS = ("product_registers", "packed_parameters", "single_port", "sparse_streams", "lookahead", "vector", *DATAFLOWS)
"""Parameters that are true or false."""


class ConfigurationError(ValueError):
    """A parameter of a core that no hardware can be built for; the message names it and the values allowed."""


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def fingerprint(parameters: Mapping[str, int]) -> int:
    """CRC-32 of the parameters as JSON: names in order, no blanks, truth values as 0 and 1."""
    canonical = {name: int(value) for name, value in parameters.items()}
    return zlib.crc32(json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode())


@dataclass(frozen=True)
class CoreConfig:
    """What a core is built from.

    Parameters
    ----------
    groups, lanes
        The MAC array: `groups` (G, at most 64) x `lanes` (L, at most 256) multipliers. A group is NullHop's MAC
        cluster.
    activation_bits, weight_bits
        Stored widths of an activation (8 or 16) and of a weight (2, 4, 8 or 16). The array multiplies an activation of
        one bit more, since a stored activation is the distance from the zero point.
    accumulator_bits
        Width of an accumulator of the array, at most 32. A layer whose sums of products may need more is refused by the
        compiler; 24 bits hold those of all MLPerf Tiny networks.
    accumulators
        Depth of a lane's accumulator file. `nullhop` and `csc` finish one output at a time and need 1; with at least
        `groups` of them, a group may work on several blocks of maps of one output at a time in `csc` layers with
        kernels. Of `rsnn` it is the number of kernels that share a group, at most as many as the maps of a group's
        parameters.
    post_lanes
        Outputs that the post-processor finishes in a cycle. Divides `word_elements`, and for `nullhop` and `csc` also
        `lanes`.
    post_dsps
        Multiplier blocks in each lane of the post-processor, 0 to 4; the rest of its 32 x 31 bit multiplier is built
        from LUTs. 3 suits blocks of 18 x 18 bits (ECP5), 4 suits blocks of 16 x 16 bits (iCE40).
    word_elements
        Activations of a word of the activation memory, each with a bit in NullHop's sparsity map: 16, or a smaller
        power of two, for which all that handles words is as much smaller; then without `sparse_streams`, whose format
        has maps of 16, and without `rsnn`.
    product_registers
        Registers before and behind the multipliers of the array and of the post-processor, for high clocks. Without
        them (up to some 12 MHz on iCE40) a lane of the array is what a block with a multiplier, an adder and an
        accumulator holds, and a group stands still until its result is taken; then with one accumulator, and 4
        `post_dsps`.
    max_left_shift
        Largest left shift of a requantisation, that is, scales up to 2**max_left_shift.
    activation_banks, activation_depth
        The activation memory: banks of `activation_depth` words of `word_elements` activations. Both
        powers of two.
    single_port
        The activation memory, and the program memory of an accelerator, take a read or a write a cycle, and no
        bitstream fills them: large RAM that needs no block RAM, such as iCE40's SB_SPRAM256KA.
    packed_parameters
        In the weight stream the post-processor's parameters are packed as densely as the weights; otherwise
        `post_lanes` bytes take a beat of `lanes`. Needs `post_lanes` that divide `lanes`.
    weight_depth
        Words of `lanes` weights in the weight memory of each group. A power of two.
    stream_units
        Activations carried by a beat of the feature-map streams; a power of two, at least one sparsity map.
    codec_elements
        Elements that the sparsity-map decoder and encoder of the feature-map streams handle in a cycle; 1 without
        `sparse_streams`.
    sparse_streams
        Feature maps may travel sparse. An accelerator's programs load and store dense maps only, and do without.
    lookahead
        A layer's descriptor and weights may come while the layer before runs. Without it there is one descriptor at a
        time, which is held by who offers it and not by the core too: hundreds of flip-flops less, and each layer
        waits for its first weights.
    fetch_depth
        Activation words that a controller may have fetched ahead of its sparsity-map decoder.
    max_size, max_channels, max_kernel
        Largest height or width of a feature map, channels of a feature map, and height or width of a kernel.
    vector
        Build the vector unit, which adds feature maps and pools over windows.
    nullhop, csc, rsnn
        Build the front end of the dataflow; at least one of them. For `csc` `lanes` must divide `word_elements`.
    window_depth
        Vectors of `lanes` activations that a controller of `csc` holds; a power of two, at least 2. A vector is read
        once for all neighbouring outputs if the vectors under a window fit. Layers whose maps read channels of their
        own need those of a pixel, and twice that to fetch one pixel while another is used.
    scratchpad_depth
        Vectors of neighbouring pixels that a group of `rsnn` holds; a power of two of at least 16.
    halo
        Pixels by which such a vector is longer than a group has lanes: a kernel that reaches no further than that to
        the right needs no second vector.
    delta_bits
        Width of a weight entry's step from vector to vector.
    """

    groups: int = 8
    lanes: int = 16
    activation_bits: int = 8
    weight_bits: int = 8
    accumulator_bits: int = 32
    accumulators: int = 1
    post_lanes: int = 8
    post_dsps: int = 3
    product_registers: bool = True
    max_left_shift: int = 1
    word_elements: int = WORD_ELEMENTS
    activation_banks: int = 4
    activation_depth: int = 1024
    single_port: bool = False
    packed_parameters: bool = False
    weight_depth: int = 1024
    stream_units: int = 16
    codec_elements: int = 16
    sparse_streams: bool = True
    lookahead: bool = True
    fetch_depth: int = 8
    max_size: int = 511
    max_channels: int = 4095
    max_kernel: int = 15
    vector: bool = True
    nullhop: bool = True
    csc: bool = True
    rsnn: bool = False
    window_depth: int = 32
    scratchpad_depth: int = 1024
    halo: int = 2
    delta_bits: int = 4

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in ("post_dsps", "max_left_shift", "halo", *FLAGS) else 1
            if not isinstance(value, int) or value < least:
                raise ConfigurationError(f"{field.name} is {value!r}: give a whole number of at least {least}")
            if value > LARGEST.get(field.name, value):
                raise ConfigurationError(f"{field.name} is {value}: give at most {LARGEST[field.name]}")
        self._one_of("activation_bits", (8, 16))
        self._one_of("weight_bits", (2, 4, 8, 16))
        self._one_of("post_dsps", (0, 1, 2, 3, 4))
        for name in FLAGS:
            self._one_of(name, (False, True))
        if not self.dataflows:
            raise ConfigurationError(f"{' and '.join(DATAFLOWS)} are left out: build at least one of them")
        for name in (
            "word_elements",
            "activation_banks",
            "activation_depth",
            "weight_depth",
            "stream_units",
            "codec_elements",
            "window_depth",
            "scratchpad_depth",
        ):
            if not _is_power_of_two(getattr(self, name)):
                raise ConfigurationError(f"{name} is {getattr(self, name)}: give a power of two")
        if self.window_depth < 2:
            raise ConfigurationError(f"window_depth is {self.window_depth}: give at least 2")
        if self.codec_elements > WORD_ELEMENTS:
            raise ConfigurationError(f"codec_elements is {self.codec_elements}: give at most {WORD_ELEMENTS}")
        if not self.sparse_streams and self.codec_elements != 1:
            raise ConfigurationError(
                f"codec_elements is {self.codec_elements}: give 1 to a core without sparse streams (sparse_streams)"
            )
        self._check_words()
        if self.packed_parameters and self.lanes % self.post_lanes:
            raise ConfigurationError(
                f"post_lanes is {self.post_lanes}: give a divisor of lanes ({self.lanes}) for packed_parameters"
            )
        if not self.product_registers and (self.accumulators, self.post_dsps) != (1, 4):
            raise ConfigurationError(
                f"accumulators is {self.accumulators} and post_dsps {self.post_dsps}: give 1 and 4 to a core without "
                "product_registers"
            )
        if self.csc and self.word_elements % self.lanes:
            raise ConfigurationError(
                f"lanes is {self.lanes}: the csc dataflow needs a divisor of {self.word_elements}, so leave it out "
                "(csc) or give one"
            )
        if self.stream_units * self.activation_bits < WORD_ELEMENTS:
            raise ConfigurationError(
                f"stream_units is {self.stream_units}: a beat must hold a sparsity map, "
                f"so give at least {WORD_ELEMENTS // self.activation_bits}"
            )
        if self.word_elements % self.post_lanes or (self.dataflows != ("rsnn",) and self.lanes % self.post_lanes):
            raise ConfigurationError(
                f"post_lanes is {self.post_lanes}: give a divisor of lanes ({self.lanes}) and of {self.word_elements}"
            )
        if self.rsnn:
            self._check_rsnn()

    def _check_words(self) -> None:
        if self.word_elements > WORD_ELEMENTS:
            raise ConfigurationError(f"word_elements is {self.word_elements}: give at most {WORD_ELEMENTS}")
        for name in ("sparse_streams", "rsnn"):
            if self.word_elements < WORD_ELEMENTS and getattr(self, name):
                raise ConfigurationError(
                    f"word_elements is {self.word_elements}: give {WORD_ELEMENTS} to a core with {name}, or leave "
                    "that out"
                )

    def _check_rsnn(self) -> None:
        if self.scratchpad_depth < WORD_ELEMENTS:
            raise ConfigurationError(f"scratchpad_depth is {self.scratchpad_depth}: give at least {WORD_ELEMENTS}")
        if self.weight_bits != 8:
            raise ConfigurationError(f"weight_bits is {self.weight_bits}: rsnn has entries of 8-bit weights, so give 8")
        maps = self.post_beats * self.post_lanes
        if self.accumulators > maps:
            raise ConfigurationError(f"accumulators is {self.accumulators}: rsnn has room for at most {maps}")

    def _one_of(self, name: str, values: tuple[int, ...]) -> None:
        if getattr(self, name) not in values:
            raise ConfigurationError(f"{name} is {getattr(self, name)}: give one of {', '.join(map(str, values))}")

    @classmethod
    def sized(cls, groups: int, lanes: int, dense: tuple[str, ...] = ("nullhop",)) -> CoreConfig:
        """The default core with another array; as many post-processor lanes as fit it, and csc if that does.

        `dense`: which of nullhop and rsnn it has; with rsnn up to eight kernels share a group.
        """
        fits = lanes > 0
        return cls(
            groups=groups,
            lanes=lanes,
            post_lanes=gcd(lanes, cls.post_lanes) if fits else 1,
            nullhop="nullhop" in dense,
            csc=fits and WORD_ELEMENTS % lanes == 0,
            rsnn="rsnn" in dense,
            accumulators=min(8, lanes) if fits and "rsnn" in dense else cls.accumulators,
        )

    def with_changes(self, **changes: Any) -> CoreConfig:
        """A copy with some parameters changed, validated."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, int]:
        """The parameters by name, for reports and fingerprints."""
        return asdict(self)

    @property
    def fingerprint(self) -> int:
        """32 bits that tell this core from others; see `fingerprint`."""
        return fingerprint(self.as_dict())

    @property
    def large(self) -> bool:
        """More than one group: wires between the units cross the chip, and get registers where they would be slow."""
        return self.groups > 1

    @property
    def splits(self) -> tuple[tuple[int, int], ...]:
        """Every (channel_groups, space_groups) with channel_groups x space_groups = groups."""
        return tuple((c, self.groups // c) for c in range(1, self.groups + 1) if self.groups % c == 0)

    @property
    def dataflows(self) -> tuple[str, ...]:
        """Names of the dataflows whose front ends are built."""
        return tuple(name for name in DATAFLOWS if getattr(self, name))

    @property
    def longest_run(self) -> int:
        """Most neighbouring output pixels that a front end gives out at once."""
        return max(16 if self.csc else 1, self.lanes if self.rsnn else 1)

    def set_heads(self, channel_groups: int) -> int:
        """One bit a group: the first of each set of `channel_groups` groups that share their pixels."""
        return sum(1 << group for group in range(0, self.groups, channel_groups))

    @property
    def operand_bits(self) -> int:
        """Width of a signed activation at the multiplier: a distance from the zero point."""
        return self.activation_bits + 1

    @property
    def sum_bits(self) -> int:
        """Width of a sum at the post-processor: the vector unit's take 32 bits, whatever the array's take."""
        return SUM_BITS if self.vector else self.accumulator_bits

    @property
    def activation_words(self) -> int:
        """Words of the whole activation memory."""
        return self.activation_banks * self.activation_depth

    @property
    def word_bits(self) -> int:
        """Bits of an activation word."""
        return self.word_elements * self.activation_bits

    @property
    def post_beats(self) -> int:
        """Beats in which the post-processor takes the results of one group."""
        return -(-self.lanes // self.post_lanes)

    @property
    def shares_lanes(self) -> bool:
        """Whether `rsnn` has the form for single pixels, whose vectors are words of 16 channels."""
        return self.window_banks >= WORD_ELEMENTS and self.delta_bits + self.weight_bits < self.lanes * self.weight_bits

    @property
    def parameter_chunks(self) -> int:
        """Beats of the weight stream that hold a byte of the parameters of `post_lanes` maps."""
        return -(-self.post_lanes // self.lanes)

    @property
    def parameter_parts(self) -> int:
        """Byte planes of the parameters of `post_lanes` maps that a beat of the weight stream holds."""
        return self.lanes // self.post_lanes if self.packed_parameters else 1

    @property
    def window_banks(self) -> int:
        """Pixels of a vector in the scratchpad of `rsnn`, each in a bank of its own."""
        return self.lanes + self.halo

    @property
    def parameter_slots(self) -> int:
        """Blocks of `lanes` maps whose post-processing parameters are held: those in use and those being loaded."""
        return 2 * self.groups

    @property
    def max_passes(self) -> int:
        """Passes of a layer with the most maps, one block of them at a time."""
        return -(-self.max_channels // self.lanes)

    @property
    def max_vectors(self) -> int:
        """Vectors of `lanes` activations of a pixel with the most channels."""
        return -(-self.max_channels // self.lanes)

    @property
    def max_rounds(self) -> int:
        """Blocks of maps that a group may work on in one pass, one after another."""
        return self.groups if self.csc else 1

    @property
    def max_channel_words(self) -> int:
        """Activation words of a pixel with the most channels."""
        return -(-self.max_channels // self.word_elements)

    @property
    def activation_address_bits(self) -> int:
        """Width of the address of a word in the activation memory."""
        return ceil_log2(self.activation_words)

    @property
    def weight_address_bits(self) -> int:
        """Width of the address of a word in a group's weight memory."""
        return ceil_log2(self.weight_depth)


REGION_BYTES = 2**20
"""What the host bus has room for in each region of its address map (see `hw.bus.host_bus`)."""

COUNTER_RECORD_BYTES = 32
"""Of an entry's record of counters on the host bus."""


@dataclass(frozen=True)
class AcceleratorConfig:
    """What an accelerator is built from: a core and the machine that runs programs on it.

    Parameters
    ----------
    core
        The core. Its `lanes` must be a power of two of at least 4, and a beat of its feature-map streams a multiple of
        32 bits, since a host reaches them by words of 32 bits.
    program_depth
        Words of `lanes` bytes in the program memory, at most 1 MiB.
    max_entries
        Most entries of a program: entries whose counters are kept.
    link_words
        Most words of 32 bits that a frame of the link carries.
    activity_counters
        Count what a layer's cycles went into, for each entry; without it only the cycles are kept, and the other fields
        of a record read 0.

    Raises
    ------
    ConfigurationError
        No hardware can be built for a parameter.
    """

    core: CoreConfig = CoreConfig()
    program_depth: int = 8192
    max_entries: int = 128
    link_words: int = 256
    activity_counters: bool = True

    def __post_init__(self) -> None:
        lanes, beat = self.core.lanes, self.core.stream_units * self.core.activation_bits
        if lanes < 4 or not _is_power_of_two(lanes):
            raise ConfigurationError(f"lanes is {lanes}: give an accelerator a power of two of at least 4")
        if beat % 32:
            raise ConfigurationError(
                f"stream_units is {self.core.stream_units}: give an accelerator beats of at least 32 bits, "
                f"so at least {32 // self.core.activation_bits}"
            )
        self._at_most("program_depth", REGION_BYTES // lanes)
        self._at_most("max_entries", REGION_BYTES // COUNTER_RECORD_BYTES)
        self._at_most("link_words", 2**16 - 1)
        if self.activity_counters not in (False, True):
            raise ConfigurationError(f"activity_counters is {self.activity_counters!r}: give one of False, True")

    def _at_most(self, name: str, limit: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or not 1 <= value <= limit:
            raise ConfigurationError(f"{name} is {value!r}: give a whole number from 1 to {limit}")

    def with_changes(self, **changes: Any) -> AcceleratorConfig:
        """A copy with some parameters changed, validated."""
        return replace(self, **changes)

    @property
    def fingerprint(self) -> int:
        """32 bits that tell what a program must be compiled for: the core, and the layout of program entries."""
        return fingerprint({**self.core.as_dict(), "program_depth": self.program_depth})

    @property
    def entry_bits(self) -> int:
        """Bits for the index of an entry, and for a number of entries that is too high."""
        return (self.max_entries + 1).bit_length()

    @property
    def program_word_bits(self) -> int:
        """Bits for a number of words of the program memory, and for one that is too high."""
        return (self.program_depth + 1).bit_length()

    @property
    def program_bytes(self) -> int:
        """Size of the program memory."""
        return self.program_depth * self.core.lanes
