"""The kit that every bench is made of: build and cache a model, run it under cocotb, drive and check its streams.

| module          | what it gives                                                                              |
|-----------------|--------------------------------------------------------------------------------------------|
| `runner`        | `build` a component for Verilator or Icarus (cached), `run` a cocotb test module on it     |
| `streams`       | `Source`, `Sink` and `Monitor` for a cocotb test that drives streams from Python           |
| `bench`         | `Bench`, `build_bench`, `run_bench`: whole runs with the streams played by Verilog         |
| `players`       | the Verilog player, recorder and checker as Amaranth components                            |
| `amaranth_sim`  | the same for Amaranth's own simulator: nothing to compile, for small units                 |
| `stalls`        | stall profiles, shared by all of the above                                                 |
| `payload`       | payloads as Python values, as integers and as bytes                                        |
| `exchange`      | parameters and results of a test inside the simulator's process                            |
"""
