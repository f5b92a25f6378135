// Watches a stream and says when one of its rules is broken:
//   valid, once raised, stays until ready;
//   the payload does not change while it waits;
//   after reset valid and ready are never unknown, nor is any bit of a valid payload (four-state simulators only).
module stream_checker #(
    parameter WIDTH = 8,
    parameter ID = "checker"
) (
    input wire clk,
    input wire rst,
    input wire [WIDTH-1:0] payload,
    input wire valid,
    input wire ready,
    output reg fault  // a rule has been broken; stays
);
    reg [WIDTH-1:0] held;
    reg waiting;

    initial {held, waiting, fault} = 0;

    always @(posedge clk) begin
        waiting <= rst === 1'b0 && valid && !ready;
        held <= payload;
        if (rst === 1'b0 && !fault) begin
            if (waiting && !valid) begin
                $display("stream %0s: valid was withdrawn before ready, at %0d ns", ID, $time);
                fault <= 1;
            end else if (waiting && payload != held) begin
                $display("stream %0s: payload changed while it waited, %h to %h, at %0d ns", ID, held, payload, $time);
                fault <= 1;
            end
`ifndef VERILATOR
            if ((valid ^ ready) === 1'bx) begin
                $display("stream %0s: valid is %b and ready is %b after reset, at %0d ns", ID, valid, ready, $time);
                fault <= 1;
            end else if (valid && ^payload === 1'bx) begin
                $display("stream %0s: payload has unknown bits, %h, at %0d ns", ID, payload, $time);
                fault <= 1;
            end
`endif
        end
    end
endmodule
