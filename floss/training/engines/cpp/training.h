// Training on a task: inputs, the network's outputs, loss, backpropagation through time and an Adam step, epoch after
// epoch.
//
// Layout, rows padded to Np numbers for N units:
//
//     z     [T B][Np]   rates r[s] = φ(h[s]) of each step and batch slot: all that backpropagation needs
//     delta [C B][Np]   adjoints δ[s+1] of the last few steps, until they meet the rates in W̄ (C steps fit the cache)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "adam.h"
#include "calls.h"
#include "philox.h"
#include "product.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T>
struct Trainer {
    const TrainCall& call;
    const int64_t N, S, B, steps, Np, vectors, chunk;
    int64_t sizes[TENSORS];
    T *z, *delta, *W, *Wt, *gW, *Vt, *b, *U, *x, *y, *gy, *readout, *m, *gb, *gV, *gh0;
    T* gradient[TENSORS];

    Trainer(const TrainCall& call, Arena& arena)
        : call(call),
          N(call.n),
          S(call.inputs),
          B(call.batch),
          steps(call.steps),
          Np(padded<T>(N)),
          vectors(Np / LANES<T>),
          chunk(std::max<int64_t>(1, std::min<int64_t>(steps, 64 / B))),
          sizes{N * N, N * S, N, N, 1, B * N} {
        z = arena.take<T>(steps * B * Np);
        delta = arena.take<T>((chunk + 1) * B * Np);
        W = arena.take<T>(N * Np), Wt = arena.take<T>(N * Np), gW = arena.take<T>(N * Np);
        Vt = arena.take<T>(S * Np), gV = arena.take<T>(S * Np), gh0 = arena.take<T>(B * Np);
        b = arena.take<T>(Np), U = arena.take<T>(Np), m = arena.take<T>(Np), gb = arena.take<T>(Np);
        x = arena.take<T>(steps * B * S), y = arena.take<T>(padded<T>(steps * B)),
        gy = arena.take<T>(padded<T>(steps * B));
        readout = arena.take<T>(B * LANES<T>);
        for (int i = 0; i < TENSORS; ++i) gradient[i] = arena.take<T>(sizes[i]);
    }

    // The weights in the layouts that the products want.
    void pack(T* const (&p)[TENSORS]) {
        std::fill_n(W, N * Np, T(0)), std::fill_n(Wt, N * Np, T(0)), std::fill_n(Vt, S * Np, T(0));
        std::fill_n(b, Np, T(0)), std::fill_n(U, Np, T(0));
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < N; ++j) W[i * Np + j] = Wt[j * Np + i] = p[0][i * N + j];
            for (int64_t j = 0; j < S; ++j) Vt[j * Np + i] = p[1][i * S + j] / T(S);
            b[i] = p[2][i], U[i] = p[3][i];
        }
        std::fill_n(z, B * Np, T(0));
        for (int64_t slot = 0; slot < B; ++slot) {
            std::copy_n(p[5] + slot * N, N, z + slot * Np);
            for (int64_t v = 0; v < vectors; ++v) {
                T* at = z + slot * Np + v * LANES<T>;
                store(at, tanh_of<T>(load(at)));
            }
        }
    }

    // h[s+1] = W r[s] + V x[s+1] / S + b, y[s+1] = U·h[s+1] + c
    void forward(T c) {
        for (int64_t s = 0; s < steps; ++s) {
            const T* inputs = x + s * B * S;
            T* rates = z + (s + 1) * B * Np;
            const bool more = s + 1 < steps;
            product<T>(B, vectors, {z + s * B * Np, Np, 1}, Wt, Np, N, [&](int64_t slot, int64_t first, auto& acc) {
                Vec<T> seen = {};
                int64_t at = first * LANES<T>;
                for (auto& h : acc) {
                    h += load(b + at);
                    for (int64_t i = 0; i < S; ++i) h += load(Vt + i * Np + at) * inputs[slot * S + i];
                    seen += h * load(U + at);
                    if (more) store(rates + slot * Np + at, tanh_of<T>(h));
                    at += LANES<T>;
                }
                T* total = readout + slot * LANES<T>;
                store(total, first ? load(total) + seen : seen);
            });
            for (int64_t slot = 0; slot < B; ++slot) y[s * B + slot] = sum<T>(load(readout + slot * LANES<T>)) + c;
        }
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
        T* wanted = delta;  // free at this time, and large enough piece by piece
        double whole = 0, right = 0;
        std::fill_n(gy, first, T(0));
        const int64_t piece = (chunk + 1) * B * Np / LANES<T> * LANES<T>;
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

    // δ[s] = ȳ[s] U + φ'(h[s]) ∘ (Wᵀ δ[s+1]);  W̄ = Σ δ[s+1] r[s]ᵀ and so on, C steps at a time
    void backward() {
        std::fill_n(gW, N * Np, T(0)), std::fill_n(gb, Np, T(0)), std::fill_n(gV, S * Np, T(0)),
            std::fill_n(m, Np, T(0));
        T readout_bias = 0;
        const T* last = nullptr;  // δ[s+2]
        T* const spare = delta + chunk * B * Np;
        for (int64_t end = steps; end > 0; end -= chunk) {
            const int64_t start = std::max<int64_t>(end - chunk, 0);
            for (int64_t s = end - 1; s >= start; --s) {
                T* here = delta + (s - start) * B * Np;  // δ[s+1], which meets r[s]
                const T* errors = gy + s * B;
                if (!last) {
                    for (int64_t slot = 0; slot < B; ++slot)
                        for (int64_t v = 0; v < Np; v += LANES<T>)
                            store(here + slot * Np + v, load(U + v) * errors[slot]);
                } else {
                    const T* rates = z + (s + 1) * B * Np;
                    product<T>(B, vectors, {last, Np, 1}, W, Np, N, [&](int64_t slot, int64_t first, auto& acc) {
                        int64_t at = first * LANES<T>;
                        for (auto& pulled : acc) {
                            const Vec<T> r = load(rates + slot * Np + at);
                            store(here + slot * Np + at, pulled * (T(1) - r * r) + load(U + at) * errors[slot]);
                            at += LANES<T>;
                        }
                    });
                }
                last = here;
                const T* inputs = x + s * B * S;
                for (int64_t v = 0; v < Np; v += LANES<T>) {
                    Vec<T> bias = load(gb + v), met = load(m + v);
                    for (int64_t slot = 0; slot < B; ++slot) {
                        bias += load(here + slot * Np + v);
                        met += load(z + (s * B + slot) * Np + v) * errors[slot];
                    }
                    store(gb + v, bias), store(m + v, met);
                    for (int64_t i = 0; i < S; ++i) {
                        Vec<T> drive = load(gV + i * Np + v);
                        for (int64_t slot = 0; slot < B; ++slot)
                            drive += load(here + slot * Np + v) * inputs[slot * S + i];
                        store(gV + i * Np + v, drive);
                    }
                }
            }
            product<T>(N, vectors, {delta, 1, Np}, z + start * B * Np, Np, (end - start) * B, adding(gW, Np));
            if (start) {  // the next chunk overwrites the adjoints from its end on
                std::copy_n(delta, B * Np, spare);
                last = spare;
            }
        }
        product<T>(B, vectors, {last, Np, 1}, W, Np, N, [&](int64_t slot, int64_t first, auto& acc) {
            int64_t at = slot * Np + first * LANES<T>;
            for (auto& pulled : acc) {
                const Vec<T> r = load(z + at);
                store(gh0 + at, pulled * (T(1) - r * r));
                at += LANES<T>;
            }
        });
        // Ū = Σ ȳ[s+1] h[s+1] = W Σ ȳ[s+1] r[s] + (V / S) Σ ȳ[s+1] x[s+1] + b Σ ȳ
        for (int64_t i = 0; i < steps * B; ++i) readout_bias += gy[i];
        for (int64_t i = 0; i < N; ++i) {
            T total = 0;
            for (int64_t j = 0; j < N; ++j) total += Wt[j * Np + i] * m[j];
            gradient[3][i] = total + b[i] * readout_bias;
        }
        for (int64_t j = 0; j < S; ++j) {
            T driven = 0;
            for (int64_t i = 0; i < steps * B; ++i) driven += gy[i] * x[i * S + j];
            for (int64_t i = 0; i < N; ++i) gradient[3][i] += Vt[j * Np + i] * driven;
        }
        for (int64_t i = 0; i < N; ++i) {
            std::copy_n(gW + i * Np, N, gradient[0] + i * N);
            for (int64_t j = 0; j < S; ++j) gradient[1][i * S + j] = gV[j * Np + i] / T(S);
            gradient[2][i] = gb[i];
        }
        gradient[4][0] = readout_bias;
        for (int64_t slot = 0; slot < B; ++slot) std::copy_n(gh0 + slot * Np, N, gradient[5] + slot * N);
    }

    void run(int64_t network) {
        T* p[TENSORS];
        for (int i = 0; i < TENSORS; ++i) p[i] = static_cast<T*>(call.parameters[i]) + network * sizes[i];
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
                call.uniform ? random.uniform(x, numbers) : random.bits(x, numbers);
            }
            pack(p);
            forward(p[4][0]);
            const bool finite = judge(d, start, wanted ? &loss : nullptr, wanted ? &accuracy : nullptr);
            if (call.mode == EVALUATE) continue;
            backward();
            if (call.mode == GRADIENT) {
                for (int i = 0; i < TENSORS; ++i)
                    std::copy_n(gradient[i], sizes[i], static_cast<T*>(call.gradient[i]) + network * sizes[i]);
                return;
            }
            T norms[TENSORS];
            bool sound = finite;
            for (int i = 0; i < TENSORS; ++i) {
                norms[i] = norm_of(gradient[i], sizes[i]);
                sound = sound && !std::isnan(norms[i]);
            }
            if (!sound) {
                call.diverged_at[network] = epoch;
                return;
            }
            const int64_t step = ++call.adam_steps[network];
            for (int i = 0; i < TENSORS; ++i)
                adam_step(p[i], gradient[i], static_cast<T*>(call.mean[i]) + network * sizes[i],
                          static_cast<T*>(call.square[i]) + network * sizes[i], sizes[i],
                          norms[i] > T(call.clip) ? T(call.clip) / norms[i] : T(1), call.lr, step);
        }
        if (call.mode == EVALUATE) loss /= double(call.epochs), accuracy /= double(call.epochs);
    }
};

}  // namespace
