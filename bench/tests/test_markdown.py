"""Recorded results as Markdown."""

from bench import markdown, nngen, results
from bench.benchmark import Column


def test_a_table_with_a_total():
    columns = [Column("layer", "name"), Column("cycles", "cycles", ",d"), Column("equal", "equal")]
    assert markdown.table(columns, [{"name": "a", "cycles": 1234, "equal": True}], {"cycles": 1234}).splitlines() == [
        "| layer | cycles | equal |",
        "| --- | ---: | --- |",
        "| a | 1,234 | yes |",
        "| **total** | **1,234** |  |",
    ]


def test_nullhop_beside_what_was_published():
    published = {"network": "VGG16", "zero_share": 0.702, "efficiency": 3.288}
    total = {"efficiency": 3.4, "hidden_efficiency": 3.5, "hidden_utilisation": 0.99}
    text = markdown.nullhop({"nullhop-vgg16": {"published": published, "total": total}, "zeros": {}})
    assert text.splitlines()[-1] == "| VGG16 | 70.2% | 328.8% | 340.0% | 350.0% | 99.0% |"


def test_a_peer_beside_skipstone():
    of = {"layer": "3x3", "multipliers": 144}
    rows = [
        {"generator": nngen.PEER, **of, "efficiency": 0.86},
        {"generator": nngen.OWN, **of, "multipliers": 128, "zero_share": 0.0, "efficiency": 0.96},
        {"generator": nngen.OWN, **of, "multipliers": 128, "zero_share": 0.5, "efficiency": 1.9},
    ]
    sizes = [
        {"generator": nngen.PEER, "multipliers": 144, "runs": "3x3", "lut": 34000},
        {"generator": nngen.OWN, "multipliers": 128, "runs": nngen.ANY_WORK, "lut": 32000},
    ]
    found = markdown.peer({"nngen": {"rows": rows}, "nngen-size": {"rows": sizes}})
    assert found.splitlines()[2:] == ["| 3x3 | 144 | 0.86 | 34,000 | 128 | 0.96 | 1.90 |  | 32,000 |"]
    alone = markdown.peer({"nngen": {"rows": rows}})
    assert alone.splitlines()[2:] == ["| 3x3 | 144 | 0.86 |  | 128 | 0.96 | 1.90 |  |  |"]


def test_a_block_of_a_text_is_brought_up_to_date():
    text = "Before.\n<!-- results: mine -->\nold\n<!-- end -->\nAfter.\n"
    new = "Before.\n<!-- results: mine -->\n\n| x |\n\n<!-- end -->\nAfter.\n"
    assert markdown.update(text, {"mine": "| x |\n"}) == new
    assert markdown.update(new, {"mine": "| x |\n"}) == new


def test_the_figures_that_are_recorded_beat_those_published():
    """Weight loading counted, on activation zeros alone; and no multiplier waits once weights are hidden."""
    for path in sorted(results.FOLDER.glob("nullhop-*.json")):
        document = results.read(path)
        assert document["total"]["efficiency"] >= document["published"]["efficiency"], path
        assert all(row["hidden_utilisation"] >= 0.98 for row in document["rows"][1:]), path
