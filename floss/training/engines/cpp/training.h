// Training on a task: inputs, the network's outputs, loss, backpropagation through time and an Adam step, epoch after
// epoch. The time loop is that of an architecture, an argument of the template:
//
//     threads(call)                   how many threads may share a network
//     TENSORS, sizes                  its parameters, in the order in which Python hands them over; h0 is the last
//     pack(parameters)                takes them over
//     forward(x, y)                   outputs y [T, B] for inputs x [T, B, S]; keeps what backward needs
//     backward(x, gy, gradient)       the gradient of all parameters for ∂loss/∂y
//     spare()                         memory that is free between the two
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "adam.h"
#include "calls.h"
#include "philox.h"
#include "threads.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T, class Loop>
struct Trainer {
    static constexpr int TENSORS = Loop::TENSORS;
    const TrainCall& call;
    const Team team;
    const int64_t S, B, steps;
    Loop loop;
    T *x, *y, *gy;
    T* gradient[TENSORS];
    // What the leader finds out for the team: whether the epoch counts, and how much of each gradient.
    struct Verdict {
        bool sound;
        T scale[TENSORS];
    };
    Verdict* verdict;

    static int64_t threads(const TrainCall& call) { return Loop::threads(call); }

    Trainer(const TrainCall& call, Arena& arena, const Team& team)
        : call(call), team(team), S(call.inputs), B(call.batch), steps(call.steps), loop(call, arena, team) {
        x = arena.take<T>(steps * B * S), y = arena.take<T>(padded<T>(steps * B)),
        gy = arena.take<T>(padded<T>(steps * B));
        for (int i = 0; i < TENSORS; ++i) gradient[i] = arena.take<T>(loop.sizes[i]);
        verdict = arena.take<Verdict>(1);
    }

    T target(int64_t i, int64_t d) const {  // of the number i = t B + slot of y; t ≥ d
        if (call.task == COPY) return x[i - d * B];
        if (call.task == XOR) return std::abs(x[i - d / 2 * B] - x[i - d * B]);
        T total = 0;
        for (int64_t j = 0; j < S; ++j) total += x[(i - d * B) * S + j];
        return std::fmod(total, T(2));
    }

    // ∂loss/∂y into gy; loss and accuracy only where wanted, for the logarithms of cross-entropy cost a tenth of an epoch.
    // False where the loss is not finite. Steps before `start` do not count.
    bool judge(int64_t d, int64_t start, double* loss, double* accuracy) {
        const int64_t total = steps * B, first = start * B, count = total - first;
        T* const wanted = loop.spare().at;  // piece by piece
        double whole = 0, right = 0;
        std::fill_n(gy, first, T(0));
        const int64_t piece = loop.spare().count / LANES<T> * LANES<T>;
        for (int64_t from = first; from < total; from += piece) {
            const int64_t many = std::min(piece, total - from);
            for (int64_t i = 0; i < many; ++i) wanted[i] = target(from + i, d);
            if (call.binary) {
                // σ(y) = (1 + tanh(y / 2)) / 2
                T bounds = 0;
                for (int64_t i = 0; i < many; i += LANES<T>) {
                    Vec<T> half = {};
                    const int lanes = int(std::min<int64_t>(LANES<T>, many - i));
                    for (int j = 0; j < lanes; ++j) half[j] = y[from + i + j] * T(0.5);
                    const Vec<T> sigma = tanh_of<T>(half) * T(0.5) + T(0.5);
                    for (int j = 0; j < lanes; ++j) gy[from + i + j] = (sigma[j] - wanted[i + j]) / T(count);
                    for (int j = 0; j < lanes; ++j) bounds += std::abs(half[j]);
                }
                whole += bounds;  // the loss itself is at most twice this and log 2 for each: finite where this is
            } else {
                T squares = 0;
                for (int64_t i = 0; i < many; ++i) {
                    const T error = y[from + i] - wanted[i];
                    gy[from + i] = T(2) * error / T(count);
                    squares += error * error;
                }
                whole += squares;
            }
            for (int64_t i = 0; i < many && accuracy && call.binary; ++i)
                right += (y[from + i] >= T(0)) == (wanted[i] > T(0.5));
            if (loss && call.binary)
                for (int64_t i = 0; i < many; ++i) {
                    const double out = y[from + i];
                    *loss +=
                        (std::max(out, 0.0) - out * wanted[i] + std::log1p(std::exp(-std::abs(out)))) / double(count);
                }
        }
        if (loss && !call.binary) *loss += whole / double(count);
        if (accuracy) *accuracy += right / double(count);
        return std::isfinite(T(whole));
    }

    void run(int64_t network) {
        T* p[TENSORS];
        for (int i = 0; i < TENSORS; ++i) p[i] = static_cast<T*>(call.parameters[i]) + network * loop.sizes[i];
        if (team.leads()) call.loss[network] = call.accuracy[network] = 0;
        for (int64_t epoch = call.first_epoch; epoch < call.first_epoch + call.epochs; ++epoch) {
            if (call.mode == TRAIN && call.diverged_at[network] >= 0) return;
            if (team.leads()) draw(network, epoch);
            loop.pack(p);
            loop.forward(x, y);
            if (team.leads()) {
                const bool wanted = call.mode != TRAIN || epoch + 1 == call.first_epoch + call.epochs;
                verdict->sound = judge(call.delays[network], call.first[network], wanted ? &call.loss[network] : nullptr,
                                       wanted ? &call.accuracy[network] : nullptr);
            }
            team.meet();
            if (call.mode == EVALUATE) continue;
            loop.backward(x, gy, gradient);
            if (call.mode == TRAIN) step(network, epoch, p);
        }
        if (!team.leads()) return;
        if (call.mode == EVALUATE) call.loss[network] /= double(call.epochs), call.accuracy[network] /= double(call.epochs);
        for (int i = 0; i < TENSORS && call.mode == GRADIENT; ++i)
            std::copy_n(gradient[i], loop.sizes[i], static_cast<T*>(call.gradient[i]) + network * loop.sizes[i]);
    }

   private:
    // Inputs of an epoch.
    void draw(int64_t network, int64_t epoch) {
        const int64_t numbers = steps * B * S;
        if (call.mode == GRADIENT) {
            std::copy_n(static_cast<const T*>(call.x) + network * numbers, numbers, x);
        } else {
            const Philox random{std::uint64_t(call.seeds[network]), std::uint32_t(call.stream), std::uint32_t(epoch)};
            draw_inputs(call, random, steps, B * S, x);
        }
    }

    // A step of Adam, unless loss or gradient are not finite, with gradients clipped by their norms.
    void step(int64_t network, int64_t epoch, T* const (&p)[TENSORS]) {
        if (team.leads()) {
            for (int i = 0; i < TENSORS; ++i) {
                const T norm = norm_of(gradient[i], loop.sizes[i]);
                verdict->sound = verdict->sound && !std::isnan(norm);
                verdict->scale[i] = norm > T(call.clip) ? T(call.clip) / norm : T(1);
            }
            if (verdict->sound)
                ++call.adam_steps[network];
            else
                call.diverged_at[network] = epoch;
        }
        team.meet();
        if (!verdict->sound) return;
        for (int i = 0; i < TENSORS; ++i) {
            const auto [begin, end] = team.share(loop.sizes[i]);
            const int64_t at = network * loop.sizes[i] + begin;
            adam_step(p[i] + begin, gradient[i] + begin, static_cast<T*>(call.mean[i]) + at,
                      static_cast<T*>(call.square[i]) + at, end - begin, verdict->scale[i], call.lr,
                      call.adam_steps[network]);
        }
        team.meet();
    }
};

}  // namespace
