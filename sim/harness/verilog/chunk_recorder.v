// Collects a stream of bytes in chunks; a test takes them while the simulation runs.
//
// When waiting rises, length bytes of chunk are there, and the test takes them and flips turn. It rises when the chunk is
// full, or when no further byte has come for QUIET cycles.
//
// Plusargs, each beginning with ID:
//   +<ID>_stall, _hold, _seed  as for stream_player: the cycles in which ready is low
module chunk_recorder #(
    parameter BYTES = 1024,
    parameter QUIET = 16,
    parameter ID = "recorder"
) (
    input wire clk,
    input wire rst,
    input wire [7:0] payload,
    input wire valid,
    output reg ready,
    output reg [8*BYTES-1:0] chunk,  // byte 0 is the lowest, and came first
    output reg [31:0] length,
    input wire turn,
    output reg waiting
);
    reg [31:0] stall, hold, random;
    reg [31:0] quiet;
    reg stalled, seen;

    initial begin
        {ready, chunk, length, waiting, quiet, stalled, seen} = 0;
        if (!$value$plusargs({ID, "_stall=%d"}, stall)) stall = 0;
        if (!$value$plusargs({ID, "_hold=%d"}, hold)) hold = 0;
        if (!$value$plusargs({ID, "_seed=%d"}, random)) random = 1;
    end

    always @(posedge clk) begin
        random = random ^ (random << 13);
        random = random ^ (random >> 17);
        random = random ^ (random << 5);
        if ((random >> 16 & ((32'd1 << hold) - 1)) == 0) stalled = {16'd0, random[15:0]} < stall;
        if (seen != turn) begin
            seen = turn;
            length = 0;
        end
        quiet = quiet + 1;
        if (rst === 1'b0 && valid && ready) begin
            chunk[8*length+:8] = payload;
            length = length + 1;
            quiet = 0;
        end
        ready <= rst === 1'b0 && !stalled && length < BYTES;
        waiting <= length == BYTES || (length != 0 && quiet >= QUIET);
    end
endmodule
