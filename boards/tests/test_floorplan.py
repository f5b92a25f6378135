"""The floorplan: which sites of a part the hard blocks of an array get."""

import json

import pytest

from boards.synthesis.floorplan import Floorplan, SiteRows, constrain
from boards.synthesis.targets import LFE5U_85F

SMALL = Floorplan(
    multipliers=SiteRows(cells=("MULT",), rows=(10, 30), columns=(0, 8), places=((0, "M0"), (1, "M1"))),
    memories=SiteRows(cells=("RAM",), rows=(20, 40, 60), columns=(0, 8), places=((0, "R0"),)),
)


def array(groups, lanes, memories=0, banks=0):
    """The hard cells of a netlist with that array."""
    cells = {f"core.array.group_{g}.lane_{n}.product": "MULT" for g in range(groups) for n in range(lanes)}
    cells |= {f"core.weights_{g}.store.{n}": "RAM" for g in range(groups) for n in range(memories)}
    cells |= {f"core.activations.bank_{n}.store": "RAM" for n in range(banks)}
    return {name: {"type": kind, "attributes": {}} for name, kind in cells.items()}


def test_a_group_lies_side_by_side_in_one_row():
    placed = SMALL.place(array(groups=2, lanes=3))
    assert [placed[f"core.array.group_0.lane_{n}.product"] for n in range(3)] == ["X0/Y10/M0", "X1/Y10/M1", "X8/Y10/M0"]
    # The rest of the row has no room for another group.
    assert placed["core.array.group_1.lane_0.product"] == "X0/Y30/M0"


def test_lanes_are_in_the_order_of_their_numbers():
    placed = LFE5U_85F.place({name: cell | {"type": "MULT18X18D"} for name, cell in array(1, 12).items()})
    columns = [int(placed[f"core.array.group_0.lane_{n}.product"].split("/")[0][1:]) for n in range(12)]
    assert columns == sorted(columns)


def test_a_weight_memory_lies_next_to_its_group_and_the_activations_apart_from_all():
    placed = SMALL.place(array(groups=3, lanes=2, memories=1, banks=2))
    assert placed["core.weights_0.store.0"] == "X0/Y20/R0"
    assert placed["core.weights_1.store.0"] == "X8/Y20/R0"
    assert placed["core.weights_2.store.0"] == "X0/Y40/R0"
    # The multipliers' rows end at 30; of the columns the first is nearer to their middle.
    assert placed["core.activations.bank_0.store"] == "X0/Y60/R0"
    assert placed["core.activations.bank_1.store"] == "X8/Y60/R0"


def test_multipliers_of_no_group_come_in_the_middle_and_the_parameters_next_to_them():
    cells = array(groups=2, lanes=1, memories=1)
    cells |= {"core.post.lane_0.product": {"type": "MULT", "attributes": {}}}
    cells |= {"core.post.memory.store": {"type": "RAM", "attributes": {}}}
    placed = SMALL.place(cells)
    assert placed["core.post.lane_0.product"] == "X1/Y10/M1"
    assert placed["core.post.memory.store"] == "X0/Y20/R0", "before any weights"


@pytest.mark.parametrize("groups, lanes, memories", [(1, 5, 1), (5, 2, 3), (2, 4, 9)])
def test_what_finds_no_site_is_left_to_the_placer(groups, lanes, memories):
    cells = array(groups, lanes, memories)
    placed = SMALL.place(cells)
    assert len(set(placed.values())) == len(placed) < len(cells)


def test_a_netlist_without_an_array_is_left_as_it_is():
    assert SMALL.place({"core.post.product": {"type": "MULT", "attributes": {}}}) == {}


def test_the_sites_go_into_the_netlist(tmp_path):
    netlist = tmp_path / "top.json"
    netlist.write_text(json.dumps({"modules": {"top": {"cells": array(groups=1, lanes=2)}}}))
    constrain(netlist, "top", SMALL)
    cells = json.loads(netlist.read_text())["modules"]["top"]["cells"]
    assert [cell["attributes"]["BEL"] for cell in cells.values()] == ["X0/Y10/M0", "X1/Y10/M1"]
