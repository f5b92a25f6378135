"""The vector unit: adds feature maps, and sums or compares the elements of windows."""
