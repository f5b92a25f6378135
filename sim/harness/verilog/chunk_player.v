// Plays chunks of bytes into a stream of bytes; a test gives them while the simulation runs.
//
// The test sets chunk and length and then flips turn; it must wait for empty before it does so again.
//
// Plusargs, each beginning with ID:
//   +<ID>_stall, _hold, _seed  as for stream_player: the cycles in which no new byte is offered
//
// valid stays until ready. While valid is low the payload is the complement of the byte before, so that a reader that
// does not look at valid is found out. A reset drops what has not been taken.
module chunk_player #(
    parameter BYTES = 1024,
    parameter ID = "player"
) (
    input wire clk,
    input wire rst,
    input wire [8*BYTES-1:0] chunk,  // byte 0 is the lowest, and the first
    input wire [31:0] length,        // bytes of it that count
    input wire turn,
    output reg [7:0] payload,
    output reg valid,
    input wire ready,
    output wire empty                // every byte given has been taken
);
    reg [31:0] stall, hold, random;
    reg [31:0] next;
    reg stalled, seen;

    assign empty = seen == turn && next >= length && !valid;

    initial begin
        {payload, valid, next, stalled, seen} = 0;
        if (!$value$plusargs({ID, "_stall=%d"}, stall)) stall = 0;
        if (!$value$plusargs({ID, "_hold=%d"}, hold)) hold = 0;
        if (!$value$plusargs({ID, "_seed=%d"}, random)) random = 1;
    end

    always @(posedge clk) begin
        if (rst !== 1'b0) begin
            valid <= 0;
            seen = turn;
            next = length;
        end else begin
            random = random ^ (random << 13);
            random = random ^ (random >> 17);
            random = random ^ (random << 5);
            if ((random >> 16 & ((32'd1 << hold) - 1)) == 0) stalled = {16'd0, random[15:0]} < stall;
            if (seen != turn) begin
                seen = turn;
                next = 0;
            end
            if (!valid || ready) begin
                valid <= next < length && !stalled;
                if (next < length && !stalled) begin
                    payload <= chunk[8*next+:8];
                    next = next + 1;
                end else begin
                    payload <= ~payload;
                end
            end
        end
    end
endmodule
