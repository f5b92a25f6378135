"""Clocks: every board's is what it says, its loop within the limits, and what cannot be made is refused."""

from dataclasses import replace

import pytest

from boards.platform.board import BOARD_NAMES, load_board
from boards.platform.clocking import Ecp5Pll, GowinPll, Ice40Pll, Oscillator
from hw.config import ConfigurationError

BOARDS = [load_board(name) for name in BOARD_NAMES]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_boards_clock_and_baud_rate_can_be_made(board):
    clock = board.make_clock()
    assert clock.frequency == pytest.approx(board.frequency, rel=clock.TOLERANCE)
    made = clock.frequency * 1e6 / board.divisor()
    assert made == pytest.approx(board.baud_rate, rel=0.015)


@pytest.mark.parametrize("wanted", [20, 33.3, 40, 62.5, 100, 166])
def test_the_settings_of_ecp5s_loop(wanted):
    pll = Ecp5Pll(25, wanted)
    ratio = pll.ratio
    assert pll.frequency == pytest.approx(25 / ratio.reference * ratio.feedback)
    assert 400 <= pll.frequency * ratio.output <= 800
    assert 3.125 <= 25 / ratio.reference <= 400


@pytest.mark.parametrize("wanted", [16.5, 20.25, 48, 120])
def test_the_settings_of_ice40s_loop(wanted):
    pll = Ice40Pll(12, wanted)
    ratio = pll.ratio
    assert pll.frequency == pytest.approx(12 / ratio.reference * ratio.feedback / 2**ratio.output)
    assert 533 <= pll.frequency * 2**ratio.output <= 1066


@pytest.mark.parametrize("wanted", [27, 54, 81])
def test_the_settings_of_gowins_loop(wanted):
    pll = GowinPll(27, wanted, "GW1N-9C")
    assert pll.frequency == pytest.approx(27 / pll.ratio.reference * pll.ratio.feedback)
    assert 400 <= pll.frequency * pll.ratio.output <= 1200


@pytest.mark.parametrize(
    ("make", "limits"),
    [
        (lambda: Ecp5Pll(25, 1000), "400 to 800 MHz"),
        (lambda: Ice40Pll(12, 12), "16 to 275 MHz"),
        (lambda: GowinPll(27, 1, "GW1N-9C"), "400 to 1200 MHz"),
        (lambda: Oscillator(12, 24), "the oscillator's own"),
    ],
)
def test_a_clock_that_cannot_be_made_is_refused(make, limits):
    with pytest.raises(ConfigurationError, match=rf"cannot be made of \d+ MHz: .*{limits}"):
        make()


def test_a_baud_rate_that_the_clock_does_not_give_is_refused():
    board = load_board("ulx3s_85f")
    with pytest.raises(ConfigurationError, match=r"ulx3s_85f: 3000000 baud take 16\.67 cycles"):
        replace(board, baud_rate=3_000_000).divisor()
    with pytest.raises(ConfigurationError, match="of at least 4"):
        replace(board, baud_rate=20_000_000).divisor()
