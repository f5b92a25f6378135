// Plays a file of beats into a stream: one line of hex digits a beat, most significant first, in whole bytes.
//
// Plusargs, each beginning with ID:
//   +<ID>_file=<path>        the beats; without it there are none
//   +<ID>_stall=<0..65535>   chance, in 65536ths, that a decision is to stall
//   +<ID>_hold=<0..8>        a decision holds for 2**hold cycles on average
//   +<ID>_seed=<number>      of the stalls, not 0
//
// One beat a cycle when neither side stalls. valid stays until ready. While valid is low the payload is the complement of
// the beat before, so that a reader that does not look at valid is found out.
module stream_player #(
    parameter WIDTH = 8,
    parameter ID = "player"
) (
    input wire clk,
    input wire rst,
    output reg [WIDTH-1:0] payload,
    output reg valid,
    input wire ready,
    output wire done,        // every beat has been taken
    output reg fault,        // the file cannot be read
    output reg [31:0] count  // beats taken
);
    localparam LINE = (WIDTH + 7) / 8 * 8;  // whole bytes, as the file has them

    reg [8*1024-1:0] path;
    reg [31:0] stall, hold, random;
    reg [LINE-1:0] next;
    reg stalled, more;
    integer file, matched;

    assign done = !more && !valid;

    initial begin
        {payload, valid, fault, count, stalled, more} = 0;
        if (!$value$plusargs({ID, "_stall=%d"}, stall)) stall = 0;
        if (!$value$plusargs({ID, "_hold=%d"}, hold)) hold = 0;
        if (!$value$plusargs({ID, "_seed=%d"}, random)) random = 1;
        if ($value$plusargs({ID, "_file=%s"}, path)) begin
            file = $fopen(path, "r");
            if (file == 0) begin
                $display("stream %0s: cannot read %0s", ID, path);
                fault = 1;
            end else begin
                matched = $fscanf(file, "%h", next);
                more = matched == 1;
            end
        end
    end

    always @(posedge clk) begin
        if (rst !== 1'b0) begin
            valid <= 0;
        end else begin
            random = random ^ (random << 13);
            random = random ^ (random >> 17);
            random = random ^ (random << 5);
            if ((random >> 16 & ((32'd1 << hold) - 1)) == 0) stalled = {16'd0, random[15:0]} < stall;
            if (valid && ready) count <= count + 1;
            if (!valid || ready) begin
                valid <= more && !stalled;
                if (more && !stalled) begin
                    payload <= next[WIDTH-1:0];
                    matched = $fscanf(file, "%h", next);
                    more <= matched == 1;
                end else begin
                    payload <= ~payload;
                end
            end
        end
    end
endmodule
