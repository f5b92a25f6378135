"""Benchmarks: what the accelerators take, measured in their Verilog, beside published figures; results as JSON."""
