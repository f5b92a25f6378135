"""From a network and a configuration of the hardware to what the hardware runs: mapping, packing, predicted cycles."""
