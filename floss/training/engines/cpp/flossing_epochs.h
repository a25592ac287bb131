// Flossing epochs: inputs, exponents, the mean of their squared distance from the target, its gradient and an Adam step.
// Where exponents and gradient come from is an argument of the template:
//
//     threads(call)                           how many threads may share a network
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
    const Team team;
    Exponents chain;
    T* x;
    double* slopes;
    T* gradient[FLOSSED];

    bool* sound;  // what the leader finds out for the team: whether the epoch counts

    static int64_t threads(const FlossCall& call) { return Exponents::threads(call); }

    FlossingEpochs(const FlossCall& call, Arena& arena, const Team& team)
        : call(call), team(team), chain(call, arena, team) {
        x = arena.take<T>(call.steps * call.inputs), slopes = arena.take<double>(call.columns);
        for (int t = 0; t < FLOSSED; ++t) gradient[t] = arena.take<T>(chain.size(t));
        sound = arena.take<bool>(1);
    }

    void run(int64_t i) {
        if (call.mode == TRAIN && call.diverged[i]) return;
        const int64_t network = call.index[i], k = call.k[i];
        T* p[FLOSSED];
        for (int t = 0; t < FLOSSED; ++t) p[t] = static_cast<T*>(call.parameters[t]) + network * chain.size(t);
        const T* const h0 = static_cast<const T*>(call.parameters[TENSORS - 1]) + network * chain.size(TENSORS - 1);
        const T* const q0 = static_cast<const T*>(call.q0) + i * chain.n * call.columns;
        for (int64_t epoch = 0; epoch < call.epochs; ++epoch) {
            if (team.leads()) draw(i, epoch);
            team.meet();
            chain.forward(p, h0, q0, k, x);
            if (team.leads()) *sound = judge(i);
            team.meet();
            if (*sound || call.mode == GRADIENT) chain.backward(slopes, x, gradient);
            team.meet();
            if (call.mode == GRADIENT) {
                for (int t = 0; t < FLOSSED && team.leads(); ++t)
                    std::copy_n(gradient[t], chain.size(t), static_cast<T*>(call.gradient[t]) + i * chain.size(t));
                return;
            }
            if (team.leads()) {
                for (int t = 0; t < FLOSSED && *sound; ++t) *sound = !std::isnan(norm_of(gradient[t], chain.size(t)));
                if (*sound)
                    ++call.adam_steps[network];
                else
                    call.diverged[i] = 1;
            }
            team.meet();
            if (!*sound) return;
            for (int t = 0; t < FLOSSED; ++t) {
                const auto [begin, end] = team.share(chain.size(t));
                const int64_t at = network * chain.size(t) + begin;
                adam_step(p[t] + begin, gradient[t] + begin, static_cast<T*>(call.mean[t]) + at,
                          static_cast<T*>(call.square[t]) + at, end - begin, T(1), call.lr, call.adam_steps[network]);
            }
            team.meet();
        }
    }

   private:
    // Inputs of an epoch.
    void draw(int64_t i, int64_t epoch) {
        const int64_t numbers = call.steps * call.inputs;
        if (call.mode == GRADIENT) {
            std::copy_n(static_cast<const T*>(call.x) + i * numbers, numbers, x);
        } else {
            const Philox random{std::uint64_t(call.seeds[i]), std::uint32_t(call.stream),
                                std::uint32_t(call.first_life[i] + epoch)};
            draw_inputs(call, random, call.steps, call.inputs, x);
        }
    }

    // Exponents, loss and its slopes; whether the loss is finite.
    bool judge(int64_t i) {
        const int64_t k = call.k[i];
        double* const exponents = call.exponents + i * call.columns;
        chain.exponents(exponents);
        double loss = 0;
        for (int64_t j = 0; j < k; ++j) {
            const double error = exponents[j] - call.target[i];
            const bool lost = exponents[j] == -INFINITY;
            if (!lost) loss += error * error / double(k);
            slopes[j] = lost ? 0 : 2 * error / double(k);
        }
        call.loss[i] = loss;
        return std::isfinite(loss);
    }
};

}  // namespace
