// Gated recurrent unit (floss/networks/gru.py), unit by unit, as the time loop and the one-step map of gated cells want
// it: see gated_weights.h for the terms.
//
//     n = tanh(block 3 + r block 2),     own' = n + z (own - n),     h' = own',     r, z = σ(·) of the blocks 0 and 1
#pragma once

#include "vectors.h"

namespace {

struct Gru {
    static constexpr int GATES = 3, BLOCKS = 4, BIASES = 2;
    static constexpr int DRIVEN[GATES] = {0, 1, 3};  // the block that V x + b of a gate enters; b_h enters block 2
    static constexpr int VARIABLES = 1;              // the state is h = own
    static constexpr int KEPT = 5;                   // r, z, u = block 2, n, own
    static constexpr int GATED = 3, STORED = 4;      // the first of them, after `gates`, and that a time loop stores
    static constexpr int SLOPES = 5;                 // ∂own'/∂blocks 0…2, unused, ∂own'/∂own
    static constexpr bool OUTPUT = false;            // h' is own'

    template <class T>
    static ALWAYS void gates(const Vec<T> (&block)[BLOCKS], Vec<T>& own, Vec<T> (&kept)[KEPT]) {
        kept[0] = sigmoid_of<T>(block[0]), kept[1] = sigmoid_of<T>(block[1]), kept[2] = block[2];
        own = block[3] + kept[0] * block[2];  // what n is the hyperbolic tangent of, until it is
    }

    // h' for h before the step, and the rest of `kept`.
    template <class T>
    static ALWAYS Vec<T> output(Vec<T> before, Vec<T>& own, Vec<T> (&kept)[KEPT]) {
        const Vec<T> n = tanh_of<T>(own);
        kept[3] = n, kept[4] = before;
        own = n + kept[1] * (before - n);
        return own;
    }

    // What is not stored of `kept`, for h before and after the step.
    template <class T>
    static ALWAYS void recall(Vec<T> before, Vec<T>, Vec<T> (&kept)[KEPT]) {
        kept[4] = before;
    }

    template <class T>
    static ALWAYS void slopes(const Vec<T> (&kept)[KEPT], Vec<T> (&slope)[SLOPES]) {
        const auto& [r, z, u, n, own] = kept;
        const Vec<T> candidate = (T(1) - z) * (T(1) - n * n);
        slope[0] = candidate * u * r * (T(1) - r);
        slope[1] = (own - n) * z * (T(1) - z);
        slope[2] = candidate * r;
        slope[3] = Vec<T>{};
        slope[4] = z;
    }

    // The adjoint of `kept` for an adjoint of the slopes.
    template <class T>
    static ALWAYS void pull_slopes(const Vec<T> (&kept)[KEPT], const Vec<T> (&slope)[SLOPES], Vec<T> (&out)[KEPT]) {
        const auto& [r, z, u, n, own] = kept;
        const Vec<T> candidate = (T(1) - z) * (T(1) - n * n), reset = r * (T(1) - r), update = z * (T(1) - z);
        const Vec<T> of_candidate = slope[0] * u * reset + slope[2] * r;
        out[0] = slope[0] * candidate * u * (T(1) - T(2) * r) + slope[2] * candidate;
        out[1] = slope[1] * (own - n) * (T(1) - T(2) * z) + slope[4] - of_candidate * (T(1) - n * n);
        out[2] = slope[0] * candidate * reset;
        out[3] = -slope[1] * update - T(2) * n * (T(1) - z) * of_candidate;
        out[4] = slope[1] * update;
    }

    // The adjoint of the blocks for those of h' and own', which add up, and a further one of `kept`; returns that of own.
    template <class T>
    static ALWAYS Vec<T> pull(const Vec<T> (&kept)[KEPT], const Vec<T> (&further)[KEPT], Vec<T> h, Vec<T> own_next,
                              Vec<T> (&block)[BLOCKS]) {
        const auto& [r, z, u, n, own] = kept;
        const Vec<T> after = h + own_next;
        block[3] = (further[3] + after * (T(1) - z)) * (T(1) - n * n);
        block[2] = further[2] + block[3] * r;
        block[1] = (further[1] + after * (own - n)) * z * (T(1) - z);
        block[0] = (further[0] + block[3] * u) * r * (T(1) - r);
        return further[4] + after * z;
    }
};

}  // namespace
