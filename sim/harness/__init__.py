"""The kit that every bench is made of: models built and cached, cocotb tests run, streams driven and checked.

- `model`, `runner`: `build` a component for Verilator or Icarus, once; `run` a cocotb test module on it.
- `streams`, `clock`: `Source`, `Sink` and `Monitor` for a cocotb test that drives streams from Python.
- `bench`, `bench_run`: `build_bench` and `run_bench`, whole runs with the streams played by Verilog.
- `live_bench`, `live_run`: `build_live_bench` and `LiveSimulation`, a core that talks with the process that asked, byte
  by byte, while it runs; `live_test` and `live_protocol` are its other end.
- `players`, `chunks`: the Verilog player, recorder and checker as Amaranth components.
- `amaranth_sim`: streams on Amaranth's own simulator, with nothing to compile, for small units.
- `stalls`, `payload`, `ports`: stall profiles, the forms of a payload, a component's streams.
- `exchange`: parameters and results of a test inside the simulator's process.
- `replay`: a failed run again, with waves if wanted.
- `toolchain`, `cache`, `objcache`: where the simulators are, and what is compiled once.
"""
