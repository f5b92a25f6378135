// Runs a link bench between two pipes: reads a count and so many bytes, gives them to the bench, and when that has been
// silent for a while writes a count and the bytes that came out. Both streams pause at random.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vlink_bench.h"

// Verilator's name of a signal of a stream, which has two underscores in the Verilog.
#define PORT(stream, signal) stream##___05F##signal

namespace {

constexpr int kSilentCycles = 700;  // more than the longest request takes

uint32_t noise = 1;

bool one_in_four() {
    noise ^= noise << 13;
    noise ^= noise >> 17;
    noise ^= noise << 5;
    return noise % 4 == 0;
}

void exchange(Vlink_bench& bench, const std::vector<uint8_t>& in, std::vector<uint8_t>& out) {
    size_t given = 0;
    bool offered = false;
    for (int silent = 0; silent < kSilentCycles; ++silent) {
        offered = offered || (given < in.size() && !one_in_four());
        bench.PORT(bytes_in, valid) = offered;
        bench.PORT(bytes_in, payload) = offered ? in[given] : 0;
        bench.PORT(bytes_out, ready) = !one_in_four();
        bench.clk = 0;
        bench.eval();
        if (bench.PORT(bytes_out, valid)) {
            silent = 0;
            if (bench.PORT(bytes_out, ready)) out.push_back(bench.PORT(bytes_out, payload));
        }
        if (offered) {
            silent = 0;
            if (bench.PORT(bytes_in, ready)) {
                ++given;
                offered = false;
            }
        }
        bench.clk = 1;
        bench.eval();
    }
}

}  // namespace

int main(int, char** argv) {
    Vlink_bench bench;
    noise = static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) | 1;
    uint32_t count;
    while (std::fread(&count, sizeof count, 1, stdin) == 1) {
        std::vector<uint8_t> in(count), out;
        if (count && std::fread(in.data(), 1, count, stdin) != count) return 1;
        exchange(bench, in, out);
        count = static_cast<uint32_t>(out.size());
        std::fwrite(&count, sizeof count, 1, stdout);
        std::fwrite(out.data(), 1, count, stdout);
        std::fflush(stdout);
    }
    return 0;
}
