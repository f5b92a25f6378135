"""What lies behind the bus decoder: targets, one a region of the address map."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import DATA_BITS, REGION_BITS, WORD_BYTES, BusError

OFFSET_BITS = REGION_BITS - (WORD_BYTES - 1).bit_length()


class BusTarget(wiring.Signature):
    """One request for a target, as the bus decoder sees it; a target has `In(BusTarget())`.

    Members
    -------
    select
        Out: there is a request. It stays, and all that belongs to it, until `done`, and falls the cycle after.
    offset
        Out: word of the region.
    write, data
        Out: as in `BusRequest`.
    done
        In: the request is served, or refused; in the same cycle as `select` at the earliest. If it takes long, the
        request is withdrawn, unserved.
    answer, error
        In: as in `BusResponse`; valid with `done`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "select": Out(1),
                "offset": Out(OFFSET_BITS),
                "write": Out(1),
                "data": Out(DATA_BITS),
                "done": In(1),
                "answer": In(DATA_BITS),
                "error": In(BusError),
            }
        )
