"""Repairs of netlists."""

import json

from boards.platform.repairs import open_carry_chains


def ccu2(carry):
    return {
        "type": "CCU2",
        "port_directions": {"CIN": "input", "COUT": "output"},
        "connections": {"CIN": [carry], "COUT": [9]},
    }


def test_only_the_beginning_of_a_carry_chain_is_opened(tmp_path):
    netlist = tmp_path / "top.json"
    cells = {
        "low": {"type": "VLO", "port_directions": {"Z": "output"}, "connections": {"Z": [5]}},
        "first": ccu2(5),
        "second": ccu2(9),
        "constant": ccu2("0"),
        "table": {"type": "LUT4", "port_directions": {"CIN": "input"}, "connections": {"CIN": [5]}},
    }
    netlist.write_text(json.dumps({"modules": {"top": {"cells": cells}, "other": {"cells": {"x": ccu2("0")}}}}))
    open_carry_chains(netlist, "top")
    modules = json.loads(netlist.read_text())["modules"]
    found = modules["top"]["cells"]
    assert [name for name, cell in found.items() if "CIN" in cell["connections"]] == ["second", "table"]
    assert "CIN" not in found["first"]["port_directions"] and found["first"]["connections"]["COUT"] == [9]
    assert found["low"] == cells["low"] and "CIN" in modules["other"]["cells"]["x"]["connections"]
