"""Programs of whole networks: every tensor, run by the interpreter, is that of the golden model."""

from collections import Counter

import numpy as np
import pytest

from compiler.compiled import CompiledProgram, describe_program
from compiler.cut import cut, runnable_parts
from compiler.errors import CompilerError
from compiler.network_program import NetworkProgram, compile_network
from compiler.operations import OPERATION_NAMES, Convolve, VectorOperation
from compiler.tests.graphs import GraphBuilder, random_graph, with_zero
from compiler.tests.interpreter import Interpreter
from hw.config import PARAMETER_PLANES, AcceleratorConfig, CoreConfig
from hw.control.descriptor import Operation
from models import golden
from models.inputs import read_input
from models.layers import AveragePool2D, Clip, MaxPool2D, Relu, Relu6, Requantize
from models.network import Network
from models.zoo import networks

DEFAULT = AcceleratorConfig(program_depth=65536)
CONFIGS = {
    "8x16": DEFAULT,
    "1x4": AcceleratorConfig(
        CoreConfig(groups=1, lanes=4, post_lanes=4, stream_units=8, activation_banks=2), program_depth=65536
    ),
    "2x8": AcceleratorConfig(CoreConfig(groups=2, lanes=8, post_lanes=2, activation_banks=2), program_depth=65536),
    # More lanes than a word has elements, three groups.
    "3x32": AcceleratorConfig(CoreConfig(groups=3, lanes=32, post_lanes=8, csc=False), program_depth=32768),
    "4x8 without nullhop": AcceleratorConfig(
        CoreConfig(
            groups=4, lanes=8, nullhop=False, rsnn=True, accumulators=5, scratchpad_depth=512, weight_depth=2048
        ),
        program_depth=65536,
    ),
}


def check(
    network: Network, values: dict[str, np.ndarray], config: AcceleratorConfig = DEFAULT, context: str = ""
) -> NetworkProgram:
    """Compile and interpret a network, and compare every tensor in memory, when it is there, and every output."""
    program = compile_network(network, config)
    compiled = describe_program(program)
    expected = golden.run(network, values)
    machine = Interpreter(compiled.image, config)
    for source, packets in zip(compiled.inputs, compiled.packets(values), strict=True):
        machine.run(source.entry, packets)
    for index in program.layers:
        machine.run(index)
        for info in compiled.tensors.values():
            if info.written == index:
                where = f"{info.name} after entry {index}, {context}"
                np.testing.assert_array_equal(_stored(machine, compiled, info.name), expected[info.name], err_msg=where)
    outputs = compiled.outputs({store: machine.run(store) for store in compiled.run_stores})
    assert list(outputs) == list(network.outputs)
    for name, got in outputs.items():
        assert got.dtype == expected[name].dtype
        np.testing.assert_array_equal(got, expected[name], err_msg=f"output {name}, {context}")
    return program


def _stored(machine: Interpreter, compiled: CompiledProgram, name: str) -> np.ndarray:
    store = compiled.tensor(name).store
    assert store is not None
    packets = machine.run(store)
    assert len(packets) == compiled.stored_bytes(name)
    return compiled.values(name, packets)


REFUSALS = ("lies in the padding", "weight_depth", "max_kernel", "post_lanes")
"""What a random graph may be refused for."""


@pytest.mark.parametrize(("name", "first"), list(zip(CONFIGS, range(0, 150, 30), strict=True)))
def test_every_tensor_of_random_graphs(name, first):
    kinds: Counter[str] = Counter()
    refused = 0
    for seed in range(first, first + 30):
        network, values = random_graph(seed)
        try:
            program = check(network, values, CONFIGS[name], f"seed {seed}")
        except CompilerError as error:
            assert any(reason in str(error) for reason in REFUSALS), f"seed {seed}: {error}"
            refused += 1
            continue
        kinds.update(OPERATION_NAMES[int(entry.operation.kind)] for entry in program.entries)
    assert refused < 20, f"{refused} of 30 graphs were refused: the rest shows little"
    # All but those that bring weights which are kept.
    assert all(kinds[kind] >= 3 for kind in OPERATION_NAMES.values() if kind != "HOLD"), kinds


@pytest.mark.parametrize(
    ("name", "depth"),
    [("resnet8", 1024), ("anomaly_detection", 1024), ("keyword_spotting", 1024), ("visual_wake_words", 4096)],
)
def test_every_tensor_of_a_network_of_the_zoo(name, depth):
    network = networks.load(name)
    values = read_input(network, None, 1)
    config = AcceleratorConfig(CoreConfig(activation_depth=depth), program_depth=65536)
    program = check(network, {network.inputs[0]: values}, config)
    mappings = [entry.layer.mapping for entry in program.entries if entry.layer is not None]
    dataflows = Counter(mapping.dataflow for mapping in mappings)
    packed = sum(mapping.packed for mapping in mappings)
    assert packed == (name == "keyword_spotting")  # whose first layer has one input channel
    assert dataflows["csc"] == packed + sum(layer.op == "depthwise_conv_2d" for layer in network.layers)


@pytest.mark.parametrize("csc", [False, True])
def test_every_part_of_a_network_that_does_not_fit_as_a_whole(csc):
    """Without csc, depthwise layers are dense ones, whose weights need the more room the more channels there are."""
    network = networks.load("visual_wake_words")
    tensors = golden.run(network, {network.inputs[0]: read_input(network, None, 1)})
    config = AcceleratorConfig(CoreConfig(activation_depth=4096 if not csc else 1024, csc=csc), program_depth=32768)
    parts = runnable_parts(network, config)
    ran = {layer.name for part in parts for layer in part.layers}
    absent = [layer for layer in network.layers if layer.name not in ran]
    assert absent and (csc or {layer.op for layer in absent} == {"depthwise_conv_2d"})
    for part in parts:
        check(part, {name: tensors[name] for name in part.inputs}, config, part.name)


EDGES = {
    "one pixel, one channel": lambda b: b.conv(b.input((1, 1, 1, 1)), 1, (1, 1)),
    "the network does nothing but relu": lambda b: b.rescale(b.input((1, 3, 2, 5)), Relu),
    "clip": lambda b: b.rescale(b.input((1, 1, 7, 33)), Clip),
    "relu6": lambda b: b.rescale(b.input((1, 1, 7, 33)), Relu6),
    "requantised": lambda b: b.rescale(b.input((1, 4, 4, 16)), Requantize),
    "rank 2": lambda b: b.dense(b.dense(b.input((1, 30)), 20), 3),
    "rows of a fully connected layer": lambda b: b.dense(b.input((1, 6, 20)), 9, depth=20),
    "rows and columns of a fully connected layer": lambda b: b.dense(b.input((1, 3, 4, 20)), 9, depth=20),
    "flattened, odd channels": lambda b: b.dense(b.conv(b.input((1, 5, 4, 3)), 7, (1, 1)), 11),
    "flattened, whole words": lambda b: b.dense(b.conv(b.input((1, 5, 4, 3)), 32, (1, 1)), 11),
    "a map of channels that no word ends": lambda b: b.conv(b.conv(b.input((1, 5, 4, 3)), 5, (3, 3)), 7, (2, 2)),
    "a sum of channels that no word ends": lambda b: b.conv(
        b.sum(b.conv(b.input((1, 4, 4, 3)), 5, (1, 1)), b.conv("input_0", 5, (1, 1))), 7, (2, 2)
    ),
    "added to itself": lambda b: b.sum(x := b.conv(b.input((1, 3, 3, 8)), 24, (1, 1)), x),
    "global average of a large map": lambda b: b.pool(b.input((1, 25, 5, 8)), AveragePool2D, (25, 5)),
    "padded average": lambda b: b.pool(
        b.input((1, 6, 5, 8)), AveragePool2D, (3, 3), stride=(2, 2), padding=((1, 1), (0, 1))
    ),
    "padded average behind a pad layer": lambda b: b.pool(
        b.pad(b.input((1, 6, 5, 8)), (1, 1), (2, 0)), AveragePool2D, (3, 3), stride=(2, 1)
    ),
    "rescaled average": lambda b: b.rescaled_pool(b.input((1, 6, 5, 20)), (3, 2), False),
    "rescaled average, padding left out": lambda b: b.rescaled_pool(
        b.input((1, 6, 5, 20)), (3, 3), False, stride=(2, 2), padding=((1, 1), (0, 1))
    ),
    "rescaled average, padding counted": lambda b: b.rescaled_pool(
        b.input((1, 6, 5, 20)), (3, 3), True, stride=(1, 2), padding=((1, 1), (0, 1))
    ),
    "overlapping, padded maximum": lambda b: b.pool(
        b.input((1, 7, 5, 8)), MaxPool2D, (3, 2), stride=(1, 1), padding=((1, 2), (1, 0))
    ),
    "maximum behind a pad layer": lambda b: b.pool(
        b.pad(b.input((1, 6, 5, 8)), (1, 1), (1, 1), value=-128), MaxPool2D, (3, 3), stride=(2, 2)
    ),
    "mean over rows": lambda b: b.mean(b.input((1, 6, 5, 8)), 1, keep_dims=False),
    "mean over columns": lambda b: b.mean(b.input((1, 6, 5, 8)), 2, keep_dims=False),
    "mean over columns of rank 3": lambda b: b.mean(b.input((1, 5, 8)), 1),
    "two pad layers": lambda b: b.conv(b.pad(b.pad(b.input((1, 3, 3, 4)), (1, 0), (0, 2)), (0, 1), (1, 1)), 3, (3, 3)),
    "rows left out": lambda b: b.conv(b.input((1, 13, 4, 4)), 4, (1, 3), stride=(4, 1)),
    "dilated, asymmetric padding": lambda b: b.conv(
        b.input((1, 9, 8, 4)), 4, (3, 3), dilation=(3, 2), padding=((3, 0), (0, 2))
    ),
    "depthwise": lambda b: b.depthwise(b.input((1, 6, 5, 40)), (3, 3), padding=((1, 1), (1, 1))),
    "depthwise, wide and odd": lambda b: b.conv(
        b.depthwise(b.input((1, 3, 37, 5)), (3, 2), padding=((1, 1), (1, 0))), 6, (1, 1)
    ),
    "depthwise, stride and dilation": lambda b: b.depthwise(
        b.input((1, 12, 9, 17)), (3, 3), stride=(2, 3), dilation=(2, 1), padding=((2, 1), (0, 1))
    ),
    "depthwise, stride larger than the kernel": lambda b: b.depthwise(b.input((1, 9, 9, 4)), (2, 1), stride=(3, 2)),
    "depthwise, a kernel larger than the window": lambda b: b.depthwise(
        b.input((1, 8, 9, 24)), (7, 5), padding=((3, 3), (2, 2))
    ),
    "depthwise behind a pad layer": lambda b: b.depthwise(
        b.pad(b.input((1, 6, 5, 8)), (1, 1), (0, 1)), (3, 3), stride=(2, 2)
    ),
    "depthwise on channels that no word ends": lambda b: b.depthwise(
        b.conv(b.input((1, 5, 4, 3)), 20, (1, 1)), (3, 3), padding=((1, 1), (1, 1))
    ),
    "depthwise in many passes": lambda b: b.depthwise(b.input((1, 4, 4, 300)), (3, 3)),
    "depthwise of one channel": lambda b: b.depthwise(b.input((1, 6, 5, 1)), (3, 3), 8),
    "depthwise with a multiplier": lambda b: b.depthwise(b.input((1, 6, 5, 20)), (3, 3), 3, padding=((1, 1), (1, 1))),
    "cyclic": lambda b: b.cyclic(b.input((1, 5, 4, 64)), 64, 4, (3, 3), padding=((1, 1), (1, 1))),
    "cyclic, dilated": lambda b: b.cyclic(b.input((1, 3, 4, 64)), 64, 4, (1, 1), 16),
    "cyclic, dilated by no whole vector": lambda b: b.cyclic(b.input((1, 3, 4, 48)), 48, 5, (3, 1), 7),
    "cyclic, nodes that fill no vector": lambda b: b.cyclic(b.input((1, 3, 4, 37)), 37, 6, (1, 1), 6),
    "cyclic, fewer nodes than lanes": lambda b: b.cyclic(b.input((1, 3, 4, 10)), 10, 3, (2, 2), 3),
    "cyclic, more maps than nodes": lambda b: b.cyclic(b.input((1, 3, 4, 24)), 100, 5, (1, 1), 5),
    "cyclic, more maps than a few nodes": lambda b: b.cyclic(b.input((1, 3, 4, 6)), 40, 5, (1, 1), 1),
    "cyclic, fewer maps than nodes": lambda b: b.cyclic(b.input((1, 1, 1, 128)), 10, 12, (1, 1), 11),
    "cyclic, all nodes": lambda b: b.cyclic(b.input((1, 2, 3, 32)), 32, 32, (1, 1)),
    "cyclic, in many passes": lambda b: b.cyclic(b.input((1, 3, 3, 272)), 272, 3, (1, 1), 90),
    "grouped, groups of whole blocks": lambda b: b.conv(b.input((1, 4, 5, 24)), 96, (3, 3), groups=3),
    "grouped, several groups a block": lambda b: b.conv(b.input((1, 4, 5, 24)), 32, (3, 2), groups=8),
    "grouped, groups that divide no block": lambda b: b.conv(b.input((1, 4, 5, 12)), 36, (3, 3), groups=3),
    "grouped, in many passes": lambda b: b.conv(b.input((1, 2, 2, 40)), 512, (1, 1), groups=2),
    "many passes": lambda b: b.conv(b.input((1, 3, 3, 16)), 300, (1, 1)),
    "softmax behind a reshape": lambda b: b.softmax(b.reshape(b.dense(b.input((1, 12)), 10), (1, 2, 5))),
}


@pytest.mark.parametrize("name", ["8x16", "1x4"])
@pytest.mark.parametrize("make", EDGES.values(), ids=EDGES)
def test_edges(make, name):
    for seed in range(3):
        builder = GraphBuilder(seed)
        network = builder.build(make(builder))
        try:
            check(network, builder.values(network), CONFIGS[name], f"seed {seed}")
        except CompilerError as error:
            assert name == "1x4" and "lower post_lanes" in str(error), error


def test_a_joined_tensor_is_written_piece_by_piece():
    builder = GraphBuilder(5)
    source = builder.conv(builder.input((1, 4, 3, 16)), 16, (3, 3), padding=((1, 1), (1, 1)))
    left = builder.conv(source, 24, (1, 1))
    right = with_zero(builder, source, builder.zero(left))
    joined = builder.join(left, right)
    network = builder.build(builder.conv(joined, 10, (3, 3)))
    program = check(network, builder.values(network))
    maps = program.lowered.maps
    assert maps[left].buffer == maps[right].buffer == joined
    assert (maps[left].first_channel, maps[right].first_channel) == (0, 24)
    assert not any(entry.operation.name.startswith("concatenation") for entry in program.entries)
    # A piece that begins inside a word is looked at in the joined tensor.
    assert program.stores[right] == program.stores[joined] != program.stores[left]


def test_an_input_that_is_joined_is_loaded_into_its_place():
    builder = GraphBuilder(6)
    source = builder.input((1, 4, 3, 16))
    made = with_zero(builder, builder.conv(source, 8, (1, 1)), builder.zero(source))
    network = builder.build(builder.join(source, made))
    program = check(network, builder.values(network))
    assert program.lowered.maps[source].buffer == program.lowered.maps[made].buffer
    assert len(program.layers) == 2


def test_a_pooling_that_does_not_fit_a_convolution_is_done_behind_it():
    builder = GraphBuilder(7)
    made = builder.pool(builder.conv(builder.input((1, 20, 5, 4)), 6, (1, 1)), MaxPool2D, (20, 1))
    network = builder.build(made)
    program = check(network, builder.values(network))
    assert [entry.operation.kind for entry in program.entries][1:3] == [Operation.CONVOLVE, Operation.MAXIMUM]
    wide = AcceleratorConfig(CoreConfig(max_kernel=20))
    program = check(network, builder.values(network), wide)
    assert [entry.operation.kind for entry in program.entries][1:3] == [Operation.CONVOLVE, Operation.STORE]


def test_an_addition_takes_the_place_of_an_operand():
    builder = GraphBuilder(8)
    source = builder.input((1, 8, 8, 16))
    total = builder.sum(builder.conv(source, 16, (1, 1)), builder.conv(source, 16, (1, 1)))
    network = builder.build(builder.rescale(total, Relu))
    program = check(network, builder.values(network))
    assert program.memory.peak == 3 * 64
    (added,) = (e.operation for e in program.entries if e.operation.kind == Operation.ADD)
    assert isinstance(added, VectorOperation)
    bases = program.memory.bases
    assert bases[added.output.buffer] in {bases[map.buffer] for map in added.reads}


def test_two_inputs_and_two_outputs_keep_their_order():
    builder = GraphBuilder(9)
    first, second = builder.input((1, 4, 4, 3)), builder.input((1, 2, 2, 7))
    outputs = builder.conv(second, 5, (2, 2)), builder.rescale(first, Relu)
    network = builder.build(*outputs)
    program = check(network, builder.values(network))
    names = [entry.operation.name for entry in program.entries]
    assert names[:2] == ["load_0", "load_1"]
    assert names[4:6] == ["store_conv_2d_0", "store_relu_1"]


def test_entries_that_only_look_are_left_out_where_there_is_no_room():
    builder = GraphBuilder(10)
    made = builder.conv(builder.conv(builder.input((1, 4, 4, 3)), 5, (1, 1)), 6, (1, 1))
    network = builder.build(made)
    for entries, found in ((6, 6), (5, 5), (4, 4)):
        program = compile_network(network, AcceleratorConfig(max_entries=entries))
        assert len(program.entries) == found and len(program.stores) == found - 3
    with pytest.raises(CompilerError, match="its program has 4 entries, but max_entries of this configuration is 3: "):
        compile_network(network, AcceleratorConfig(max_entries=3))
    needed = len(compile_network(network, AcceleratorConfig(max_entries=4)).image.data) // 16
    with pytest.raises(CompilerError, match=r"program_depth of this configuration is \d+: raise it to 128$"):
        compile_network(network, AcceleratorConfig(program_depth=needed - 4))


def test_a_part_of_a_network_has_its_own_inputs_and_outputs():
    network = networks.load("resnet8")
    part = cut(network, "conv_2d_4", "conv_2d_6")
    assert [layer.name for layer in part.layers] == ["conv_2d_4", "conv_2d_5", "conv_2d_6"]
    assert part.inputs == (network.layer("add_3").output,)
    assert part.outputs == (network.layer("conv_2d_5").output, network.layer("conv_2d_6").output)
    tensors = golden.run(network, {network.inputs[0]: read_input(network, None, 2)})
    check(part, {part.inputs[0]: tensors[part.inputs[0]]})
    with pytest.raises(CompilerError, match="layer conv_2d_0 comes before conv_2d_4"):
        cut(network, "conv_2d_4", "conv_2d_0")


def test_compiling_twice_gives_the_same_image():
    network = networks.load("resnet8")
    assert compile_network(network, DEFAULT).image == compile_network(network, DEFAULT).image


def test_weights_that_cannot_be_kept_are_refused_with_what_to_do():
    network = networks.load("anomaly_detection")
    with pytest.raises(CompilerError) as refused:
        compile_network(network, DEFAULT, keep_weights=True)
    line = str(refused.value)
    assert "weight_depth of this configuration is 1,024: raise it to 4,096, or let them stream in" in line


def test_kept_weights_lie_one_behind_the_other():
    core = CoreConfig(weight_depth=4096)
    program = compile_network(networks.load("anomaly_detection"), DEFAULT.with_changes(core=core), keep_weights=True)
    layers = [entry.layer for entry in program.entries if entry.layer is not None]
    starts = [layer.kept for layer in layers]
    assert starts == [sum(layer.memory_words for layer in layers[:index]) for index in range(len(layers))]
    held = [entry for entry in program.entries if OPERATION_NAMES[int(entry.operation.kind)] == "HOLD"]
    assert [len(entry.weights) for entry in held] == [
        sum(layer.mapping.blocks_of_pass(index, layer.conv.maps, 16) for index in range(layer.mapping.passes))
        * layer.conv.map_weights
        for layer in layers
    ]


def narrow_network(weight_bits: int) -> tuple[GraphBuilder, Network]:
    """A layer of each kind, with weights of that width."""
    builder = GraphBuilder(weight_bits, weight_bits)
    name = builder.conv(builder.input((1, 6, 5, 4)), 12, (3, 3), stride=(2, 2), padding=((1, 1), (1, 1)))
    name = builder.cyclic(builder.depthwise(name, (2, 2)), 15, 3, (1, 1), 4)
    return builder, builder.build(builder.dense(name, 10))


@pytest.mark.parametrize("weight_bits", [2, 4, 8, 16])
def test_weights_of_every_width(weight_bits):
    builder, network = narrow_network(weight_bits)
    for name in ("8x16", "1x4"):
        config = CONFIGS[name]
        config = config.with_changes(core=config.core.with_changes(weight_bits=weight_bits))
        program = check(network, builder.values(network), config, f"{weight_bits} bits on {name}")
        wider = compile_network(network, config.with_changes(core=config.core.with_changes(weight_bits=16)))
        beats = [sum(len(entry.weights) for entry in one.entries) for one in (program, wider)]
        parameters = sum(
            PARAMETER_PLANES * config.core.post_beats * -(-entry.operation.conv.maps // config.core.lanes)
            for entry in program.entries
            if isinstance(entry.operation, Convolve)
        )
        # Packed: but for the rest of a block's last beat, as many bits as there are weights.
        assert beats[0] - parameters <= (beats[1] - parameters) * weight_bits / 16 + 4 * len(program.entries)


def test_weights_that_are_too_wide_are_refused():
    _, network = narrow_network(8)
    narrow = DEFAULT.with_changes(core=CoreConfig(weight_bits=4))
    with pytest.raises(CompilerError, match=r"^layer conv_2d_0: its weights are -\d+ to \d+, but weight_bits of this"):
        compile_network(network, narrow)
