"""Simulation: cocotb benches, their harness and runner, and the suites that prove the Verilog."""
