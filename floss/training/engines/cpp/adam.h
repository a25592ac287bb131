// The optimizer: one step of Adam, and the norm of a gradient, by which it is clipped.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace {

using std::int64_t;

// One step of Adam for one tensor of one network, as floss/training/adam.py has it.
template <class T>
void adam_step(T* __restrict p, const T* __restrict g, T* __restrict mean, T* __restrict square, int64_t count, T scale,
               double lr, int64_t step) {
    const T rate = T(lr / (1.0 - std::pow(0.9, double(step))));
    const T correction = T(1.0 / std::sqrt(1.0 - std::pow(0.999, double(step))));
    for (int64_t i = 0; i < count; ++i) {
        const T gradient = g[i] * scale;
        mean[i] += T(0.1) * (gradient - mean[i]);
        square[i] = square[i] * T(0.999) + gradient * gradient * T(0.001);
        p[i] -= mean[i] / (std::sqrt(square[i]) * correction + T(1e-8)) * rate;
    }
}

// 2-norm of a tensor; finite unless a number of it is not. Squares overflow long before the numbers do, hence the retry.
template <class T>
T norm_of(const T* g, int64_t count) {
    constexpr int lanes = 16;
    const auto squares = [&](T unit) {
        T part[lanes] = {};
        int64_t i = 0;
        for (; i + lanes <= count; i += lanes)
            for (int j = 0; j < lanes; ++j) part[j] += (g[i + j] * unit) * (g[i + j] * unit);
        for (; i < count; ++i) part[i % lanes] += (g[i] * unit) * (g[i] * unit);
        T total = 0;
        for (T x : part) total += x;
        return total;
    };
    const T plain = squares(T(1));
    if (std::isfinite(plain)) return std::sqrt(plain);
    T largest = 0;
    for (int64_t i = 0; i < count; ++i) {
        if (!std::isfinite(g[i])) return plain - plain;  // NaN
        largest = std::max(largest, std::abs(g[i]));
    }
    return largest * std::sqrt(squares(T(1) / largest));
}

}  // namespace
