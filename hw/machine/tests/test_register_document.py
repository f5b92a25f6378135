from pathlib import Path

from hw.machine.registers import register_table

DOCUMENT = Path(__file__).parents[3] / "docs" / "accelerator.md"


def test_the_manual_has_the_registers_as_they_are():
    assert register_table() in DOCUMENT.read_text(encoding="utf-8"), f"put what register_table() gives into {DOCUMENT}"
