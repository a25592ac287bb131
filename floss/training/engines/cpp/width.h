// How many tangent vectors a network has.
#pragma once

#include <cstdint>

#include "vectors.h"
#include "workspace.h"

namespace {

using std::int64_t;

// k columns, padded to whole vectors of T and of double precision.
template <class T>
struct Width {
    int64_t k = 0, Kp = 0, Kd = 0, vectors = 0;  // vectors of Kp
    Width() = default;
    explicit Width(int64_t k) : k(k), Kp(padded<T>(k)), Kd(padded<double>(k)), vectors(Kp / LANES<T>) {}
};

}  // namespace
