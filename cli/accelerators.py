"""The accelerator that a command compiles for when no board says what it has."""

from __future__ import annotations

from compiler.errors import CompilerError
from compiler.image import image_words
from compiler.network_program import NetworkProgram, compile_network
from hw.config import REGION_BYTES, AcceleratorConfig, CoreConfig
from models.network import Network


def compile_for(network: Network, core: CoreConfig, *, keep_weights: bool = False) -> NetworkProgram:
    """Compile a network for the default accelerator with that core; its program memory grows as the network needs.

    Args:
        keep_weights: as for `compile_network`.

    Raises:
        CompilerError, ConfigurationError: as `compile_network` does, even with the largest program memory.
    """
    config = AcceleratorConfig(core)
    try:
        return compile_network(network, config, keep_weights=keep_weights)
    except CompilerError as error:
        largest = config.with_changes(program_depth=REGION_BYTES // core.lanes)
        try:
            needed = image_words(compile_network(network, largest, keep_weights=keep_weights).entries, largest)
        except CompilerError:
            raise error from None
    fitting = config.with_changes(program_depth=1 << (needed - 1).bit_length())
    return compile_network(network, fitting, keep_weights=keep_weights)
