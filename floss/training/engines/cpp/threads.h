// Networks spread over threads. Nothing is shared between networks but a counter from which threads draw the next one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace {

using std::int64_t;

// Vanishing adjoints end as denormal numbers, which cost some machines a hundred cycles each.
struct NoDenormals {
#if defined(__SSE__)
    unsigned before = _mm_getcsr();
    NoDenormals() { _mm_setcsr(before | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before); }
#endif
};

template <class Work>
void in_threads(int64_t networks, int64_t threads, Work work) {
    std::atomic<int64_t> next{0};
    const auto worker = [&](int64_t thread) {
        NoDenormals guard;
        for (int64_t i; (i = next++) < networks;) work(thread, i);
    };
    std::vector<std::thread> others;
    for (int64_t t = 1; t < std::min(threads, networks); ++t) others.emplace_back(worker, t);
    worker(0);
    for (auto& other : others) other.join();
}

}  // namespace
