// Memory for one network at a time: arrays with rows padded to whole vectors, out of one block that Python provides.
#pragma once

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "vectors.h"

namespace {

using std::int64_t;

template <class T>
int64_t padded(int64_t n) {
    return (n + LANES<T> - 1) / LANES<T> * LANES<T>;
}

// Numbers from a row to the next where many rows are in use at once: never a multiple of eight cache lines, or all rows
// would take turns in few places of a cache.
template <class T>
int64_t apart(int64_t n) {
    constexpr int64_t line = 64 / sizeof(T);
    return padded<T>(n) + (padded<T>(n) % (8 * line) ? 0 : line);
}

// Numbers that lie one after the other.
template <class T>
struct Room {
    T* at;
    int64_t count;
};

// Asks for large pages: what is kept of a run is read and written once, and goes through thousands of small ones.
inline void in_large_pages(void* at, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = 4096;
    const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(at), first = (begin + page - 1) / page * page;
    madvise(reinterpret_cast<void*>(first), begin + std::uintptr_t(bytes) - first, MADV_HUGEPAGE);  // or not
#endif
}

// Arrays out of one block of memory, each on a cache line of its own. Without a block it only counts.
struct Arena {
    char* at;
    int64_t used = 0;
    template <class T>
    T* take(int64_t count) {
        char* here = at ? at + used : nullptr;
        used += (count * int64_t(sizeof(T)) + 127) / 64 * 64;
        return reinterpret_cast<T*>(here);
    }
};

}  // namespace
