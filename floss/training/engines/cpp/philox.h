// Random numbers without state: each is a function of seed, stream, epoch and index (Salmon et al. 2011).
#pragma once

#include <algorithm>
#include <cstdint>

namespace {

using std::int64_t;

// Philox4x32-10 as in floss/random.py: counter words (block, epoch, stream, 0), key words the halves of the seed.
struct Philox {
    std::uint64_t seed;
    std::uint32_t stream, epoch;
    void block(std::uint32_t index, std::uint32_t* out) const {
        std::uint32_t c0 = index, c1 = epoch, c2 = stream, c3 = 0;
        std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t p0 = std::uint64_t(c0) * 0xD2511F53u, p1 = std::uint64_t(c2) * 0xCD9E8D57u;
            c0 = std::uint32_t(p1 >> 32) ^ c1 ^ k0, c1 = std::uint32_t(p1);
            c2 = std::uint32_t(p0 >> 32) ^ c3 ^ k1, c3 = std::uint32_t(p0);
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
    }
    template <class T>
    void bits(T* out, int64_t count) const {
        std::uint32_t words[4];
        for (int64_t i = 0; i < count; i += 32) {
            if (i % 128 == 0) block(std::uint32_t(i / 128), words);
            const std::uint32_t word = words[i / 32 % 4];
            const int many = int(std::min<int64_t>(32, count - i));
            for (int j = 0; j < many; ++j) out[i + j] = T((word >> j) & 1u);
        }
    }
    template <class T>
    void uniform(T* out, int64_t count) const {
        std::uint32_t words[4];
        for (int64_t i = 0; i < count; ++i) {
            if (i % 4 == 0) block(std::uint32_t(i / 4), words);
            out[i] = T(words[i % 4] >> 8) * T(1.0 / 16777216);
        }
    }
};

// Inputs of an epoch: `width` numbers for each step, which stay for `hold` steps (Task.sample).
template <class T, class Call>
void draw_inputs(const Call& call, const Philox& random, int64_t steps, int64_t width, T* x) {
    call.uniform ? random.uniform(x, steps * width) : random.bits(x, steps * width);
    for (int64_t t = 0; t < steps && call.hold > 1; ++t)
        if (t % call.hold) std::copy_n(x + (t - 1) * width, width, x + t * width);
}

}  // namespace
