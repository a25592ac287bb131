// The time loop of a rate network, forward and backward (floss/networks/rate/bptt.py).
//
// Layout, rows padded to Np numbers for N units:
//
//     z     [T B][Np]   rates r[s] = φ(h[s]) of each step and batch slot: all that backpropagation needs
//     delta [C B][Np]   adjoints δ[s+1] of the last few steps, until they meet the rates in W̄ (C steps fit the cache)
#pragma once

#include <algorithm>
#include <cstdint>

#include "activation.h"
#include "calls.h"
#include "product.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T, class Phi>
struct RateLoop {
    static constexpr int TENSORS = 6;  // W [N, N], V [N, S], b [N], U [N], c [], h0 [B, N]
    const int64_t N, S, B, steps, Np, vectors, chunk;
    const int64_t sizes[TENSORS];
    T *z, *delta, *W, *Wt, *gW, *Vt, *b, *U, *readout, *m, *gb, *gV, *gh0;
    T c;

    RateLoop(const TrainCall& call, Arena& arena)
        : N(call.n),
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
        readout = arena.take<T>(B * LANES<T>);
    }

    // Memory that is free between forward and backward.
    Room<T> spare() const { return {delta, (chunk + 1) * B * Np}; }

    // The weights in the layouts that the products want.
    void pack(T* const (&p)[TENSORS]) {
        std::fill_n(W, N * Np, T(0)), std::fill_n(Wt, N * Np, T(0)), std::fill_n(Vt, S * Np, T(0));
        std::fill_n(b, Np, T(0)), std::fill_n(U, Np, T(0));
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < N; ++j) W[i * Np + j] = Wt[j * Np + i] = p[0][i * N + j];
            for (int64_t j = 0; j < S; ++j) Vt[j * Np + i] = p[1][i * S + j] / T(S);
            b[i] = p[2][i], U[i] = p[3][i];
        }
        c = *p[4];
        std::fill_n(z, B * Np, T(0));
        for (int64_t slot = 0; slot < B; ++slot) {
            std::copy_n(p[5] + slot * N, N, z + slot * Np);
            for (int64_t v = 0; v < vectors; ++v) {
                T* at = z + slot * Np + v * LANES<T>;
                store(at, Phi::template rate<T>(load(at)));
            }
        }
    }

    // h[s+1] = W r[s] + V x[s+1] / S + b, y[s+1] = U·h[s+1] + c
    void forward(const T* x, T* y) const {
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
                    if (more) store(rates + slot * Np + at, Phi::template rate<T>(h));
                    at += LANES<T>;
                }
                T* total = readout + slot * LANES<T>;
                store(total, first ? load(total) + seen : seen);
            });
            for (int64_t slot = 0; slot < B; ++slot) y[s * B + slot] = sum<T>(load(readout + slot * LANES<T>)) + c;
        }
    }

    // δ[s] = ȳ[s] U + φ'(h[s]) ∘ (Wᵀ δ[s+1]);  W̄ = Σ δ[s+1] r[s]ᵀ and so on, C steps at a time
    void backward(const T* x, const T* gy, T* const (&gradient)[TENSORS]) const {
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
                            store(here + slot * Np + at, pulled * Phi::template slope<T>(r) + load(U + at) * errors[slot]);
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
                store(gh0 + at, pulled * Phi::template slope<T>(r));
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
};

}  // namespace
