"""Kernel merging: which output kernels share a processing unit, so that all units are done together.

Each unit (PU) of a sparse-weight grid takes one non-zero weight a cycle, so its time is the non-zero weights of its
kernels, and the grid's time that of its slowest unit. With several accumulators (*slots*) a unit takes several kernels,
and which ones is free: the largest that is left goes to the unit with the least to do (longest processing time first,
LPT).

If the weights of a pass do not fit at once, its input channels come in tiles, and no unit starts a tile before all are
done with the one before: the time is then the sum over the tiles of the slowest unit's weights in each. A kernel stays
on its unit for all tiles, as its partial sums do.

Source: RSNN (You & Wu, IEEE Access 2021); LPT: Graham, SIAM Journal on Applied Mathematics 1969. The form with tiles is
worked out here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.errors import SkipstoneError


class MergingError(SkipstoneError):
    """Kernels that cannot be dealt to the units that there are."""


def merge_kernels(nonzeros: npt.NDArray, pus: int, slots: int) -> npt.NDArray[np.int64]:
    """Deal kernels to the slots of units, largest first, each to the unit that makes the whole longer by the least.

    Without tiles that is the least loaded unit with a free slot. Ties go to the unit with the smaller load over all
    tiles, then to the lower number, so the result depends on the counts alone.

    Args:
        nonzeros: non-zero weights of each kernel, integers [kernels], or [tiles, kernels] if channels come in tiles.
        pus, slots: units, and kernels that each has accumulators for.

    Returns:
        int64[kernels, 2]: (unit, slot) of each kernel. No two are the same; a unit's slots fill from 0.

    Raises:
        MergingError: more kernels than slots, a count below 0, or an array of another shape.
    """
    counts = _checked(nonzeros)
    kernels = counts.shape[1]
    if min(pus, slots) < 1 or kernels > pus * slots:
        raise MergingError(f"{kernels} kernels do not fit {pus} units of {slots} slots")
    loads = np.zeros((len(counts), pus), np.int64)
    taken = np.zeros(pus, np.int64)
    places = np.empty((kernels, 2), np.int64)
    for kernel in np.argsort(-counts.sum(axis=0), kind="stable"):
        free = np.flatnonzero(taken < slots)
        after = loads[:, free] + counts[:, [kernel]]
        longer = np.maximum(after, loads.max(axis=1, keepdims=True)).sum(axis=0)
        chosen = free[np.lexsort((loads[:, free].sum(axis=0), longer))[0]]
        places[kernel] = chosen, taken[chosen]
        loads[:, chosen] += counts[:, kernel]
        taken[chosen] += 1
    return places


def unit_loads(nonzeros: npt.NDArray, places: npt.NDArray, pus: int) -> npt.NDArray[np.int64]:
    """Non-zero weights of each unit: int64[tiles, pus], one tile if ``nonzeros`` has none.

    Args:
        nonzeros: as in `merge_kernels`.
        places: (unit, slot) of each kernel, as `merge_kernels` returns them.
        pus: units.

    Raises:
        MergingError: as `merge_kernels`, or places for another number of kernels or units.
    """
    counts = _checked(nonzeros)
    if places.shape != (counts.shape[1], 2) or (
        places.size and not 0 <= places[:, 0].min() <= places[:, 0].max() < pus
    ):
        raise MergingError(
            f"places of shape {list(places.shape)} are not those of {counts.shape[1]} kernels on {pus} units"
        )
    on = places[:, 0, np.newaxis] == np.arange(pus)
    return counts @ on.astype(np.int64)


def _checked(nonzeros: npt.NDArray) -> npt.NDArray[np.int64]:
    """The counts as int64[tiles, kernels]."""
    counts = np.asarray(nonzeros)
    if counts.ndim not in (1, 2) or not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
        given = f"{counts.dtype}{list(counts.shape)}"
        raise MergingError(f"non-zero weights of kernels are counts [kernels] or [tiles, kernels], not {given}")
    return np.atleast_2d(counts).astype(np.int64)
