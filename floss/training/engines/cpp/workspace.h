// Memory for one network at a time: arrays with rows padded to whole vectors, out of one block that Python provides.
#pragma once

#include <cstdint>

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
