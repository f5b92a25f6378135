"""CSC: no index anywhere. A vector of neighbouring channels meets a vector of packed weights, lane by lane."""
