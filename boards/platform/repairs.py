"""What the netlists of a family need before its placer takes them."""

from __future__ import annotations

import json
from pathlib import Path


def open_carry_chains(netlist: Path, top: str) -> None:
    """Leave the carry input open where a chain of CrossLink-NX begins, as yosys's own mapping of adders has it.

    Yosys's abc9 ties it to a constant 0, which the first cell of a chain does not look at, and nextpnr refuses a carry
    input that no carry output drives.

    Parameters
    ----------
    netlist
        A JSON file of yosys; it is changed.
    top
        Its module.
    """
    content = json.loads(netlist.read_text())
    cells = content["modules"][top]["cells"].values()
    low = {bit for cell in cells if cell["type"] == "VLO" for bit in cell["connections"]["Z"]} | {"0"}
    for cell in cells:
        if cell["type"] == "CCU2" and set(cell["connections"].get("CIN", ())) & low:
            del cell["connections"]["CIN"]
            cell["port_directions"].pop("CIN", None)
    netlist.write_text(json.dumps(content))
