"""Every way in which a core can run a layer, whatever the dataflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compiler.convolution import Convolution
from compiler.csc_mapping import csc_mappings
from compiler.errors import CompilerError
from compiler.feature_maps import FeatureMap
from compiler.mapping import Geometry, Mapping, ceil_div, check_limits, mappings, mappings_in_memory, suitable
from compiler.sparse_plan import pass_maps, slot_counts, sparse_shapes
from compiler.sparse_weights import SparsePlan, pack_sparse
from hw.config import CoreConfig


def sparse_plans(conv: Convolution, config: CoreConfig) -> list[SparsePlan]:
    """Plans for the rsnn dataflow: for each shape that with the most kernels a group whose weights fit.

    Twice, if they can: the weights of the next pass arrive while this one computes.

    Raises:
        CompilerError: the scratchpad is too small for a window, or the weight memory for the kernels.
    """
    plans = []
    for shape in sparse_shapes(conv, config):
        fitting = []
        for slots in slot_counts(conv, shape, config):
            weights = pack_sparse(conv, shape, slots, config)
            words = weights.words(config)
            if words <= config.weight_depth:
                fitting.append(SparsePlan(shape, slots, weights, words))
            if words <= config.weight_depth // 2:
                break
        plans += fitting[-1:]
    if not plans:
        if not any(slot_counts(conv, shape, config) for shape in sparse_shapes(conv, config)):
            raise CompilerError(
                f"layer {conv.name}: a pass of rsnn has at most {config.groups * config.accumulators} maps, which is "
                f"no whole beat of the {config.post_lanes} lanes of the post-processor: raise accumulators"
            )
        raise CompilerError(
            f"layer {conv.name}: its non-zero weights take {words} words of each group's weight memory, but "
            f"weight_depth of this configuration is {config.weight_depth}: raise it to {1 << (words - 1).bit_length()}"
        )
    return plans


def sparse_mappings(conv: Convolution, config: CoreConfig, output_pixel_words: int | None = None) -> list[Mapping]:
    """Mappings for the rsnn dataflow, of maps in memory, or if no `output_pixel_words` are given of maps that travel.

    In either case both maps are held whole.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    check_limits(conv, config, whole=True, dataflows=tuple(name for name in suitable(conv, config) if name == "rsnn"))
    geometry = Geometry.of(conv, whole=True)
    input_words = ceil_div(conv.channels, config.word_elements)
    pixel_words = output_pixel_words
    if pixel_words is None:
        pixel_words = ceil_div(conv.maps, config.word_elements)
        rows, columns = conv.output_size
        needed = conv.size[0] * conv.size[1] * input_words + rows * columns * pixel_words
        if needed > config.activation_words:
            raise CompilerError(
                f"layer {conv.name}: rsnn holds its input and its output whole, which takes {needed} words of "
                "activation memory, but activation_banks x activation_depth of this configuration is "
                f"{config.activation_words}: raise activation_depth"
            )
    return [
        Mapping(
            geometry=geometry,
            channel_groups=config.groups,
            space_groups=1,
            passes=len(plan.weights.passes),
            pass_maps=pass_maps(conv, plan.shape, config, plan.slots),
            input_ring=conv.size[0],
            output_ring=conv.output_size[0],
            resident=True,
            merged=True,
            input_pixel_words=input_words,
            output_pixel_words=pixel_words,
            sparse=plan,
        )
        for plan in sparse_plans(conv, config)
    ]


def _all(conv: Convolution, config: CoreConfig, *makers: tuple[str, Callable[[], list[Mapping]]]) -> list[Mapping]:
    """What the makers of the suitable dataflows give; what one refuses, another may run.

    Raises:
        CompilerError: none can hold it; the first one's reason.
    """
    found: list[Mapping] = []
    errors: list[CompilerError] = []
    names = suitable(conv, config)
    for name, make in makers:
        if name in names:
            try:
                found += make()
            except CompilerError as error:
                errors.append(error)
    if not found and errors:
        raise errors[0]
    if not found:
        check_limits(conv, config, dataflows=tuple(name for name, _ in makers if name in names))
    return found


def streamed_mappings(conv: Convolution, config: CoreConfig) -> list[Mapping]:
    """Every mapping of a convolution whose input arrives and whose output leaves by stream.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    return _all(
        conv,
        config,
        ("nullhop", lambda: mappings(conv, config)),
        ("rsnn", lambda: sparse_mappings(conv, config)),
    )


@dataclass(frozen=True, eq=False)
class Candidate:
    """A convolution, as it is or as the dense one that it is equal to, and its mapping."""

    conv: Convolution
    mapping: Mapping


def is_packed(conv: Convolution, source: FeatureMap) -> bool:
    """Whether the input lies with each row as one pixel."""
    return source.columns == 1 < conv.size[1]


def candidates(
    conv: Convolution, config: CoreConfig, output_pixel_words: int, *, packed: bool = False
) -> list[Candidate]:
    """Every way to run a convolution whose input and output lie whole in memory.

    One whose maps read channels of their own runs on `csc`, or as a dense one of which most weights are zero.

    Args:
        output_pixel_words: of the output; packed: the input lies with each row as one pixel.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    errors: list[CompilerError] = []
    found: list[Candidate] = []

    def add(one: Convolution, make: Callable[[], list[Mapping]]) -> None:
        try:
            found.extend(Candidate(one, mapping) for mapping in make())
        except CompilerError as error:
            errors.append(error)

    if config.csc and conv.pool == (1, 1):
        add(conv, lambda: csc_mappings(conv, config, output_pixel_words, packed=packed))
    # A depthwise layer would take as many times the cycles as it has channels.
    if not packed and not (found and conv.depthwise):
        dense = conv.expanded()
        if config.nullhop:
            add(dense, lambda: mappings_in_memory(dense, config, output_pixel_words))
        if "rsnn" in suitable(dense, config):
            add(dense, lambda: sparse_mappings(dense, config, output_pixel_words))
    if found:
        return found
    if not errors:
        check_limits(conv, config, whole=True)
    # Of one with edges csc's reason: a dense layer is larger than what the user gave. Of a dense one nullhop's.
    raise errors[0 if conv.edges is not None or len(errors) == 1 or not config.csc else 1]
