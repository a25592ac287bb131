// The Lyapunov exponents of a linear recurrent unit (floss/networks/lru.py), whatever the input: log|λ_j| = -exp(ν_j), each
// twice, in descending order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "calls.h"
#include "flossing_epochs.h"
#include "workspace.h"

namespace {

template <class T>
struct DiagonalExponents {
    static constexpr int TENSORS = 10, FLOSSED = 1;  // ν; the last is h0
    const int64_t N, n, initial;
    double* exponent;  // of each unit
    int64_t* order;    // of the units
    int64_t k = 0;

    static int64_t threads(const FlossCall&) { return 1; }

    DiagonalExponents(const FlossCall& call, Arena& arena, const Team&) : N(call.n), n(2 * N), initial(call.batch * n) {
        exponent = arena.take<double>(N), order = arena.take<int64_t>(N);
    }

    int64_t size(int tensor) const { return tensor == 0 ? N : initial; }

    void forward(T* const (&p)[FLOSSED], const T*, const T*, int64_t columns, const T*) {
        k = columns;
        for (int64_t i = 0; i < N; ++i) exponent[i] = -std::exp(double(p[0][i]));
        std::iota(order, order + N, 0);
        const bool ordered = std::none_of(exponent, exponent + N, [](double number) { return std::isnan(number); });
        if (ordered) std::sort(order, order + N, [&](int64_t i, int64_t j) { return exponent[i] > exponent[j]; });
    }

    void exponents(double* out) const {
        for (int64_t j = 0; j < k; ++j) out[j] = exponent[order[j / 2]];
    }

    void backward(const double* slopes, const T*, T* const (&gradient)[FLOSSED]) const {
        std::fill_n(gradient[0], N, T(0));
        for (int64_t j = 0; j < k; ++j) {
            const int64_t unit = order[j / 2];
            gradient[0][unit] += T(slopes[j] * exponent[unit]);
        }
    }
};

template <class T>
using DiagonalFlosser = FlossingEpochs<T, DiagonalExponents<T>>;

}  // namespace
