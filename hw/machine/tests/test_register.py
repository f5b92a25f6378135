import pytest

from hw.machine import registers
from hw.machine.register import Access, Field, Register, markdown_table

MODE = Register(
    "MODE", 0x10, Access.RW, "How.", (Field("fast", 0, 1, "quickly"), Field("level", 4, 3, "how much")), 0x20
)


def test_fields_have_their_places():
    assert MODE.encode(fast=1, level=5) == 0x51
    assert MODE.decode(0xFFFF_FF2E) == {"fast": 0, "level": 2}
    assert MODE.field("level").mask == 0x70
    assert MODE.layout.size == 32


def test_a_value_too_large_for_its_field_is_refused():
    with pytest.raises(ValueError, match=r"MODE.level is 8: give 0 to 7"):
        MODE.encode(level=8)


def test_the_table_has_a_line_for_each_register_and_field():
    assert markdown_table([MODE]).splitlines()[2:] == [
        "| 0x10 | `MODE` | RW | 0x20 | | How. |",
        "| | | | | 0 | `fast`: quickly |",
        "| | | | | 6:4 | `level`: how much |",
    ]


def test_addresses_count_up_by_words_and_names_are_unique():
    assert [register.address for register in registers.REGISTERS] == [
        4 * index for index in range(len(registers.REGISTERS))
    ]
    assert len({register.name for register in registers.REGISTERS}) == len(registers.REGISTERS)


@pytest.mark.parametrize("register", registers.REGISTERS, ids=lambda register: register.name)
def test_fields_do_not_overlap_and_fit_a_word(register):
    covered = 0
    for field in register.fields:
        assert field.width and not covered & field.mask and field.mask < 1 << 32
        covered |= field.mask
    assert not (register.reset or 0) & ~covered
    assert getattr(registers, register.name) is register


def test_the_documented_table_lists_every_register():
    table = registers.register_table()
    for register in registers.REGISTERS:
        assert f"`{register.name}`" in table
