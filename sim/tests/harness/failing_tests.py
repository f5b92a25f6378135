"""cocotb tests of which one fails and one does not run by itself; test_runner.py starts them."""

import cocotb


@cocotb.test()
async def fails(dut):
    raise AssertionError("as it should")


@cocotb.test()
async def passes(dut):
    pass


@cocotb.test(skip=True)
async def is_skipped(dut):
    raise AssertionError("it ran")
