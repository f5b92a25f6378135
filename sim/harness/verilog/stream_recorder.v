// Records a stream to a file: one line of hex digits a beat, most significant first, in whole bytes.
//
// Plusargs, each beginning with ID:
//   +<ID>_file=<path>        where the beats go; without it they are only counted
//   +<ID>_expect=<number>    how many make the recording complete
//   +<ID>_stall, _hold, _seed  as for stream_player: the cycles in which ready is low
//
// When the simulator ends, everything recorded is in the file.
module stream_recorder #(
    parameter WIDTH = 8,
    parameter ID = "recorder"
) (
    input wire clk,
    input wire rst,
    input wire [WIDTH-1:0] payload,
    input wire valid,
    output reg ready,
    output wire complete,    // as many beats as expected have come
    output reg fault,        // the file cannot be written
    output reg [31:0] count  // beats recorded
);
    localparam LINE = (WIDTH + 7) / 8 * 8;

    reg [8*1024-1:0] path;
    reg [31:0] stall, hold, random, expected;
    reg [LINE-1:0] line;
    reg stalled;
    integer file;

    assign complete = count >= expected;

    initial begin
        {ready, fault, count, stalled, file} = 0;
        if (!$value$plusargs({ID, "_stall=%d"}, stall)) stall = 0;
        if (!$value$plusargs({ID, "_hold=%d"}, hold)) hold = 0;
        if (!$value$plusargs({ID, "_seed=%d"}, random)) random = 1;
        if (!$value$plusargs({ID, "_expect=%d"}, expected)) expected = 0;
        if ($value$plusargs({ID, "_file=%s"}, path)) begin
            file = $fopen(path, "w");
            if (file == 0) begin
                $display("stream %0s: cannot write %0s", ID, path);
                fault = 1;
            end
        end
    end

    always @(posedge clk) begin
        if (rst !== 1'b0) begin
            ready <= 0;
        end else begin
            random = random ^ (random << 13);
            random = random ^ (random >> 17);
            random = random ^ (random << 5);
            if ((random >> 16 & ((32'd1 << hold) - 1)) == 0) stalled = {16'd0, random[15:0]} < stall;
            ready <= !stalled;
            if (valid && ready) begin
                count <= count + 1;
                line = 0;
                line[WIDTH-1:0] = payload;
                if (file != 0) begin
                    $fwrite(file, "%h\n", line);
                    if (count + 1 == expected) $fflush(file);
                end
            end
        end
    end
endmodule
