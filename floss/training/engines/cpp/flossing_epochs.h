// Flossing epochs: inputs, exponents, the mean of their squared distance from the target, its gradient and an Adam step.
// Where exponents and gradient come from is an argument of the template:
//
//     TENSORS, FLOSSED                        the parameters, and how many of them, the first ones, are flossed
//     n, size(tensor)                         numbers of a state, and of a parameter
//     forward(parameters, h0, q0, k, x)       the run
//     exponents(out)                          -inf where a direction is lost, NaN where the network is not finite
//     backward(slopes, x, gradient)           the gradient for slopes = ∂loss / ∂λ
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "adam.h"
#include "calls.h"
#include "philox.h"
#include "threads.h"
#include "workspace.h"

namespace {

template <class T, class Exponents>
struct FlossingEpochs {
    static constexpr int TENSORS = Exponents::TENSORS, FLOSSED = Exponents::FLOSSED;
    const FlossCall& call;
    Exponents chain;
    T* x;
    double* slopes;
    T* gradient[FLOSSED];

    static int64_t threads(const FlossCall&) { return 1; }

    FlossingEpochs(const FlossCall& call, Arena& arena, const Team&) : call(call), chain(call, arena) {
        x = arena.take<T>(call.steps * call.inputs), slopes = arena.take<double>(call.columns);
        for (int t = 0; t < FLOSSED; ++t) gradient[t] = arena.take<T>(chain.size(t));
    }

    void run(int64_t i) {
        if (call.mode == TRAIN && call.diverged[i]) return;
        const int64_t network = call.index[i], k = call.k[i], numbers = call.steps * call.inputs;
        T* p[FLOSSED];
        for (int t = 0; t < FLOSSED; ++t) p[t] = static_cast<T*>(call.parameters[t]) + network * chain.size(t);
        const T* const h0 = static_cast<const T*>(call.parameters[TENSORS - 1]) + network * chain.size(TENSORS - 1);
        const T* const q0 = static_cast<const T*>(call.q0) + i * chain.n * call.columns;
        double* const exponents = call.exponents + i * call.columns;
        for (int64_t epoch = 0; epoch < call.epochs; ++epoch) {
            if (call.mode == GRADIENT) {
                std::copy_n(static_cast<const T*>(call.x) + i * numbers, numbers, x);
            } else {
                const Philox random{std::uint64_t(call.seeds[i]), std::uint32_t(call.stream),
                                    std::uint32_t(call.first_life[i] + epoch)};
                draw_inputs(call, random, call.steps, call.inputs, x);
            }
            chain.forward(p, h0, q0, k, x);
            chain.exponents(exponents);
            double loss = 0;
            for (int64_t j = 0; j < k; ++j) {
                const double error = exponents[j] - call.target[i];
                const bool lost = exponents[j] == -INFINITY;
                if (!lost) loss += error * error / double(k);
                slopes[j] = lost ? 0 : 2 * error / double(k);
            }
            call.loss[i] = loss;
            bool sound = std::isfinite(loss);
            if (sound || call.mode == GRADIENT) chain.backward(slopes, x, gradient);
            if (call.mode == GRADIENT) {
                for (int t = 0; t < FLOSSED; ++t)
                    std::copy_n(gradient[t], chain.size(t), static_cast<T*>(call.gradient[t]) + i * chain.size(t));
                return;
            }
            for (int t = 0; t < FLOSSED && sound; ++t) sound = !std::isnan(norm_of(gradient[t], chain.size(t)));
            if (!sound) {
                call.diverged[i] = 1;
                return;
            }
            const int64_t step = ++call.adam_steps[network];
            for (int t = 0; t < FLOSSED; ++t)
                adam_step(p[t], gradient[t], static_cast<T*>(call.mean[t]) + network * chain.size(t),
                          static_cast<T*>(call.square[t]) + network * chain.size(t), chain.size(t), T(1), call.lr,
                          step);
        }
    }
};

}  // namespace
