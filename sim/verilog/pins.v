// What stands between the pins and the fabric of each family, as far as the top levels of boards use it.

module SB_IO(inout PACKAGE_PIN, input LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE,
  input D_OUT_0, D_OUT_1, output D_IN_0, D_IN_1);
  parameter PIN_TYPE = 6'b0, PULLUP = 1'b0, NEG_TRIGGER = 1'b0, IO_STANDARD = "SB_LVCMOS";
  // An output, or one with an enable, which is always on.
  generate if (PIN_TYPE[5:2] == 4'b0110 || PIN_TYPE[5:2] == 4'b1010) assign PACKAGE_PIN = D_OUT_0; endgenerate
  assign D_IN_0 = PACKAGE_PIN;
  assign D_IN_1 = 1'b0;
endmodule

module SB_GB_IO(input PACKAGE_PIN, output GLOBAL_BUFFER_OUTPUT);
  parameter PIN_TYPE = 6'b0, PULLUP = 1'b0, NEG_TRIGGER = 1'b0, IO_STANDARD = "SB_LVCMOS";
  assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
endmodule

module TRELLIS_IO(inout B, input I, T, output O);
  parameter DIR = "INPUT";
  generate if (DIR == "OUTPUT") assign B = I; endgenerate
  assign O = B;
endmodule

module IBUF(input I, output O);
  assign O = I;
endmodule

module OBUF(input I, output O);
  assign O = I;
endmodule

module TBUF(input I, OEN, output O);
  assign O = I;
endmodule

module IB(input I, output O);
  assign O = I;
endmodule

module OB(input I, output O);
  assign O = I;
endmodule

module OBZ(input I, T, output O);
  assign O = I;
endmodule

// The loops pass the oscillator on, and lock after some cycles.
module lock_after(input clock, output reg locked = 0);
  reg [4:0] cycles = 0;
  always @(posedge clock) {locked, cycles} <= locked ? {1'b1, cycles} : cycles + 6'd1;
endmodule

module EHXPLLL(input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC,
  ENCLKOP, output CLKOP, LOCK);
  parameter PLLRST_ENA = "", INTFB_WAKE = "", STDBY_ENABLE = "", DPHASE_SOURCE = "", OUTDIVIDER_MUXA = "",
    CLKOP_ENABLE = "", FEEDBK_PATH = "";
  parameter CLKOP_CPHASE = 0, CLKOP_FPHASE = 0, CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1;
  assign CLKOP = CLKI;
  lock_after lock(CLKI, LOCK);
endmodule

// The gate opens and closes while the clock is low.
module DCCA(input CLKI, CE, output CLKO);
  reg open = 0;
  always @(negedge CLKI) open <= CE;
  assign CLKO = CLKI & open;
endmodule

module SB_PLL40_PAD(input PACKAGEPIN, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK);
  parameter FEEDBACK_PATH = "SIMPLE", PLLOUT_SELECT = "GENCLK";
  parameter DIVR = 4'd0, DIVF = 7'd0, DIVQ = 3'd0, FILTER_RANGE = 3'd0;
  assign PLLOUTGLOBAL = PACKAGEPIN;
  lock_after lock(PACKAGEPIN, LOCK);
endmodule

module rPLL(input CLKIN, CLKFB, RESET, RESET_P, input [5:0] FBDSEL, IDSEL, ODSEL, input [3:0] PSDA, DUTYDA, FDLY,
  output CLKOUT, LOCK);
  parameter FCLKIN = "", DEVICE = "", IDIV_SEL = 0, FBDIV_SEL = 0, ODIV_SEL = 8, DYN_IDIV_SEL = "", DYN_FBDIV_SEL = "",
    DYN_ODIV_SEL = "", DYN_DA_EN = "", PSDA_SEL = "", DUTYDA_SEL = "", CLKFB_SEL = "", CLKOUT_BYPASS = "";
  assign CLKOUT = CLKIN;
  lock_after lock(CLKIN, LOCK);
endmodule
