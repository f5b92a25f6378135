"""What starts, feeds and empties the array: sequencer, loaders, retirement, result path."""
