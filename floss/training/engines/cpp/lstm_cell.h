// Long short-term memory (floss/networks/lstm.py), unit by unit, as the time loop and the one-step map of gated cells
// want it: see gated_weights.h for the terms.
//
//     own' = f own + i g,     h' = o tanh(own'),     i, f, o = σ(·), g = tanh(·) of the blocks 0, 1, 3 and 2
#pragma once

#include "vectors.h"

namespace {

struct Lstm {
    static constexpr int GATES = 4, BLOCKS = 4, BIASES = 1;
    static constexpr int DRIVEN[GATES] = {0, 1, 2, 3};  // the block that V x + b of a gate enters
    static constexpr int VARIABLES = 2;                 // the state is (h, own)
    static constexpr int KEPT = 6;                      // i, f, g, o, own, t = tanh(own')
    static constexpr int GATED = 5, STORED = 5;         // the first of them, after `gates`, and that a time loop stores
    static constexpr int SLOPES = 6;                    // ∂own'/∂blocks 0…2, ∂h'/∂block 3, ∂own'/∂own, ∂h'/∂own'
    static constexpr bool OUTPUT = true;                // h' is not own'

    template <class T>
    static ALWAYS void gates(const Vec<T> (&block)[BLOCKS], Vec<T>& own, Vec<T> (&kept)[KEPT]) {
        const Vec<T> i = sigmoid_of<T>(block[0]), f = sigmoid_of<T>(block[1]), g = tanh_of<T>(block[2]);
        const Vec<T> o = sigmoid_of<T>(block[3]);
        kept[0] = i, kept[1] = f, kept[2] = g, kept[3] = o, kept[4] = own;
        own = f * own + i * g;
    }

    // h' for own', and the rest of `kept`.
    template <class T>
    static ALWAYS Vec<T> output(Vec<T>, Vec<T>& own, Vec<T> (&kept)[KEPT]) {
        kept[5] = tanh_of<T>(own);
        return kept[3] * kept[5];
    }

    // What is not stored of `kept`, for h before and after the step; σ is never zero.
    template <class T>
    static ALWAYS void recall(Vec<T>, Vec<T> after, Vec<T> (&kept)[KEPT]) {
        kept[5] = after / kept[3];
    }

    template <class T>
    static ALWAYS void slopes(const Vec<T> (&kept)[KEPT], Vec<T> (&slope)[SLOPES]) {
        const auto& [i, f, g, o, own, t] = kept;
        slope[0] = g * i * (T(1) - i);
        slope[1] = own * f * (T(1) - f);
        slope[2] = i * (T(1) - g * g);
        slope[3] = t * o * (T(1) - o);
        slope[4] = f;
        slope[5] = o * (T(1) - t * t);
    }

    // The adjoint of `kept` for an adjoint of the slopes.
    template <class T>
    static ALWAYS void pull_slopes(const Vec<T> (&kept)[KEPT], const Vec<T> (&slope)[SLOPES], Vec<T> (&out)[KEPT]) {
        const auto& [i, f, g, o, own, t] = kept;
        out[0] = slope[0] * g * (T(1) - T(2) * i) + slope[2] * (T(1) - g * g);
        out[1] = slope[1] * own * (T(1) - T(2) * f) + slope[4];
        out[2] = slope[0] * i * (T(1) - i) - T(2) * g * i * slope[2];
        out[3] = slope[3] * t * (T(1) - T(2) * o) + slope[5] * (T(1) - t * t);
        out[4] = slope[1] * f * (T(1) - f);
        out[5] = slope[3] * o * (T(1) - o) - T(2) * t * o * slope[5];
    }

    // The adjoint of the blocks for those of h', of own', and a further one of `kept`; returns that of own.
    template <class T>
    static ALWAYS Vec<T> pull(const Vec<T> (&kept)[KEPT], const Vec<T> (&further)[KEPT], Vec<T> h, Vec<T> own_next,
                              Vec<T> (&block)[BLOCKS]) {
        const auto& [i, f, g, o, own, t] = kept;
        const Vec<T> cell = own_next + (further[5] + h * o) * (T(1) - t * t);
        block[0] = (further[0] + cell * g) * i * (T(1) - i);
        block[1] = (further[1] + cell * own) * f * (T(1) - f);
        block[2] = (further[2] + cell * i) * (T(1) - g * g);
        block[3] = (further[3] + h * t) * o * (T(1) - o);
        return further[4] + cell * f;
    }
};

}  // namespace
