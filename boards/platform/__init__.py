"""What all boards share: clock, top level, the flow to a bitstream, reports and budgets."""
