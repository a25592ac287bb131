// Training on a task: inputs, the network's outputs, loss, backpropagation through time and an Adam step, epoch after
// epoch. The time loop is that of an architecture, an argument of the template:
//
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
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T, class Loop>
struct Trainer {
    static constexpr int TENSORS = Loop::TENSORS;
    const TrainCall& call;
    const int64_t S, B, steps;
    Loop loop;
    T *x, *y, *gy;
    T* gradient[TENSORS];

    Trainer(const TrainCall& call, Arena& arena)
        : call(call), S(call.inputs), B(call.batch), steps(call.steps), loop(call, arena) {
        x = arena.take<T>(steps * B * S), y = arena.take<T>(padded<T>(steps * B)),
        gy = arena.take<T>(padded<T>(steps * B));
        for (int i = 0; i < TENSORS; ++i) gradient[i] = arena.take<T>(loop.sizes[i]);
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
        const int64_t d = call.delays[network], start = call.first[network], numbers = steps * B * S;
        double &loss = call.loss[network], &accuracy = call.accuracy[network];
        loss = accuracy = 0;
        for (int64_t epoch = call.first_epoch; epoch < call.first_epoch + call.epochs; ++epoch) {
            if (call.mode == TRAIN && call.diverged_at[network] >= 0) return;
            const bool wanted = call.mode != TRAIN || epoch + 1 == call.first_epoch + call.epochs;
            if (call.mode == GRADIENT) {
                std::copy_n(static_cast<const T*>(call.x) + network * numbers, numbers, x);
            } else {
                const Philox random{std::uint64_t(call.seeds[network]), std::uint32_t(call.stream),
                                    std::uint32_t(epoch)};
                draw_inputs(call, random, steps, B * S, x);
            }
            loop.pack(p);
            loop.forward(x, y);
            const bool finite = judge(d, start, wanted ? &loss : nullptr, wanted ? &accuracy : nullptr);
            if (call.mode == EVALUATE) continue;
            loop.backward(x, gy, gradient);
            if (call.mode == GRADIENT) {
                for (int i = 0; i < TENSORS; ++i)
                    std::copy_n(gradient[i], loop.sizes[i], static_cast<T*>(call.gradient[i]) + network * loop.sizes[i]);
                return;
            }
            T norms[TENSORS];
            bool sound = finite;
            for (int i = 0; i < TENSORS; ++i) {
                norms[i] = norm_of(gradient[i], loop.sizes[i]);
                sound = sound && !std::isnan(norms[i]);
            }
            if (!sound) {
                call.diverged_at[network] = epoch;
                return;
            }
            const int64_t step = ++call.adam_steps[network];
            for (int i = 0; i < TENSORS; ++i)
                adam_step(p[i], gradient[i], static_cast<T*>(call.mean[i]) + network * loop.sizes[i],
                          static_cast<T*>(call.square[i]) + network * loop.sizes[i], loop.sizes[i],
                          norms[i] > T(call.clip) ? T(call.clip) / norms[i] : T(1), call.lr, step);
        }
        if (call.mode == EVALUATE) loss /= double(call.epochs), accuracy /= double(call.epochs);
    }
};

}  // namespace
