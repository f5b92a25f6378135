"""A run of layers of a network, as a network of its own."""

from __future__ import annotations

from compiler.errors import CompilerError
from compiler.network_program import compile_network
from hw.config import AcceleratorConfig
from models.layers import Pad, Quantize
from models.network import Network


def cut(network: Network, first: str, last: str | None = None) -> Network:
    """The layers from `first` to `last` (itself, unless given), in the network's order.

    Its inputs are the tensors that they read and do not make, its outputs those that others read or the network gives;
    if nobody does, what the last layer makes. Layer and tensor names stay.

    Raises:
        NetworkError: the network has no such layer.
        CompilerError: `last` comes before `first`.
    """
    names = [layer.name for layer in network.layers]
    begin, end = (names.index(network.layer(name).name) for name in (first, last or first))
    if end < begin:
        raise CompilerError(f"{network.name}: layer {last} comes before {first}: give the earlier one first")
    layers = network.layers[begin : end + 1]
    made = {layer.output for layer in layers}
    read = [name for layer in layers for name in layer.inputs]
    inputs = [name for name in dict.fromkeys(read) if name not in made and not network.tensors[name].is_constant]
    others = {name for layer in network.layers if layer not in layers for name in layer.inputs} | {*network.outputs}
    outputs = [layer.output for layer in layers if layer.output in others] or [layers[-1].output]
    tensors = {name: network.tensors[name] for name in dict.fromkeys([*read, *(layer.output for layer in layers)])}
    name = f"{network.name}:{first}" if begin == end else f"{network.name}:{first}..{last}"
    return Network(name, tensors, layers, tuple(inputs), tuple(outputs))


def runnable_parts(network: Network, config: AcceleratorConfig) -> list[Network]:
    """The longest runs of layers that the accelerator takes, in order, each as a network of its own.

    A layer that it does not take ends a run; so does one whose tensors do not fit in memory together with the others.
    """
    parts: list[Network] = []
    names = [layer.name for layer in network.layers]
    begin = 0
    while begin < len(names):
        found, end = None, begin
        for candidate in range(begin, len(names)):
            part = cut(network, names[begin], names[candidate])
            try:
                compile_network(part, config)
            except CompilerError:
                # The next layer may mend it: it reads what this one pads, or is the first for the accelerator.
                if isinstance(network.layers[candidate], Pad | Quantize):
                    continue
                break
            found, end = part, candidate
        parts += [found] if found is not None else []
        begin = end + 1
    return parts
