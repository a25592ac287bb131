// The time loop of a rate network, forward and backward (floss/networks/rate/bptt.py).
//
// Layout, rows of N numbers padded with zeros to Np, and Ld from one to the next:
//
//     z     [T B][Ld]   rates r[s] = φ(h[s]) of each step and batch slot: all that backpropagation needs
//     delta [C B][Ld]   adjoints δ[s+1] of the last few steps, until they meet the rates in W̄ (C steps fit the cache)
//
// Of a step, each member of a team has a share of units and batch slots.
#pragma once

#include <algorithm>
#include <cstdint>

#include "activation.h"
#include "calls.h"
#include "panels.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T, class Phi>
struct RateLoop {
    static constexpr int TENSORS = 6;  // W [N, N], V [N, S], b [N], U [N], c [], h0 [B, N]
    static constexpr int64_t L = LANES<T>;
    const Team team;
    const int64_t N, S, B, steps, Np, Ld, vectors, chunk;
    const Blocks blocks;
    const int64_t sizes[TENSORS];
    T *z, *delta, *W, *Wt, *gW, *Vt, *b, *U, *m, *gb, *gV, *gh0;
    T* readout;  // [2][first vector][B][L], U·h of each block of units, of this step and of the one before
    T c;

    static int64_t threads(const TrainCall& call) { return most_threads(2.0 * double(call.batch * call.n * call.n)); }

    RateLoop(const TrainCall& call, Arena& arena, const Team& team)
        : team(team),
          N(call.n),
          S(call.inputs),
          B(call.batch),
          steps(call.steps),
          Np(padded<T>(N)),
          Ld(apart<T>(N)),
          vectors(Np / L),
          chunk(std::max<int64_t>(1, std::min<int64_t>(steps, 64 / B))),
          blocks(vectors, WIDEST),
          sizes{N * N, N * S, N, N, 1, B * N} {
        z = arena.take<T>(steps * B * Ld);
        delta = arena.take<T>((chunk + 1) * B * Ld);
        W = arena.take<T>(N * Np), Wt = arena.take<T>(N * Np), gW = arena.take<T>(N * Np);
        Vt = arena.take<T>(S * Np), gV = arena.take<T>(S * Np), gh0 = arena.take<T>(B * Ld);
        b = arena.take<T>(Np), U = arena.take<T>(Np), m = arena.take<T>(Np);
        gb = arena.take<T>(Np), readout = arena.take<T>(2 * B * Np);
    }

    // Memory that is free between forward and backward.
    Room<T> spare() const { return {delta, (chunk + 1) * B * Ld}; }

    // The weights in the layouts that the products want.
    void pack(T* const (&p)[TENSORS]) {
        pack_panels([&](int64_t i) { return p[0] + i * N; }, 1, N, N, vectors, W, team);
        pack_panels([&](int64_t j) { return p[0] + j; }, N, N, N, vectors, Wt, team);
        c = *p[4];
        if (team.leads()) {
            std::fill_n(Vt, S * Np, T(0)), std::fill_n(b, Np, T(0)), std::fill_n(U, Np, T(0));
            for (int64_t i = 0; i < N; ++i) {
                for (int64_t j = 0; j < S; ++j) Vt[j * Np + i] = p[1][i * S + j] / T(S);
                b[i] = p[2][i], U[i] = p[3][i];
            }
            for (int64_t slot = 0; slot < B; ++slot) {
                T* const at = z + slot * Ld;
                std::copy_n(p[5] + slot * N, N, at), std::fill(at + N, at + Np, T(0));
                for (int64_t v = 0; v < Np; v += L) store(at + v, Phi::template rate<T>(load(at + v)));
            }
        }
        team.meet();
    }

    // h[s+1] = W r[s] + V x[s+1] / S + b, y[s+1] = U·h[s+1] + c
    void forward(const T* x, T* y) const {
        for (int64_t s = 0; s < steps; ++s) {
            const T* inputs = x + s * B * S;
            T* const rates = z + (s + 1) * B * Ld;
            T* const parts = readout + s % 2 * B * Np;
            const bool more = s + 1 < steps;
            const auto finish = [&](int64_t slot, int64_t first, auto& acc) {
                Vec<T> seen = {};
                int64_t at = first * L;
                for (auto& h : acc) {
                    h += load(b + at);
                    for (int64_t i = 0; i < S; ++i) h += load(Vt + i * Np + at) * inputs[slot * S + i];
                    seen += h * load(U + at);
                    if (more) store(rates + slot * Ld + at, Phi::template rate<T>(h));
                    at += L;
                }
                store(parts + (first * B + slot) * L, seen);
            };
            product<T>(B, vectors, {z + s * B * Ld, Ld, 1}, Packed<T>{Wt, N}, finish, team);
            team.meet();
            const Span mine = team.share(B);
            for (int64_t slot = mine.begin; slot < mine.end; ++slot) {
                Vec<T> total = load(parts + slot * L);
                for (int64_t block = 1; block < blocks.count; ++block) 
                    total += load(parts + (blocks.first(block) * B + slot) * L);
                y[s * B + slot] = sum<T>(total) + c;
            }
        }
        team.meet();
    }

    // δ[s] = ȳ[s] U + φ'(h[s]) ∘ (Wᵀ δ[s+1]);  W̄ = Σ δ[s+1] r[s]ᵀ and so on, C steps at a time
    void backward(const T* x, const T* gy, T* const (&gradient)[TENSORS]) const {
        clear();
        const T* last = nullptr;  // δ[s+2]
        T* const spare = delta + chunk * B * Ld;
        for (int64_t end = steps; end > 0; end -= chunk) {
            const int64_t start = std::max<int64_t>(end - chunk, 0);
            for (int64_t s = end - 1; s >= start; --s) {
                T* const here = delta + (s - start) * B * Ld;  // δ[s+1], which meets r[s]
                pull(last, here, z + (s + 1) * B * Ld, gy + s * B);
                team.meet();
                last = here;
                accumulate(here, x + s * B * S, z + s * B * Ld, gy + s * B);
            }
            product<T>(N, vectors, {delta, 1, Ld}, z + start * B * Ld, Ld, (end - start) * B, adding_packed(gW, N), team);
            if (start) {  // the next chunk overwrites the adjoints from its end on
                const Span mine = team.share(B * Ld);
                std::copy(delta + mine.begin, delta + mine.end, spare + mine.begin);
                last = spare;
            }
            team.meet();
        }
        const auto initial = [&](int64_t slot, int64_t first, auto& acc) {
            int64_t at = slot * Ld + first * L;
            for (auto& pulled : acc) {
                store(gh0 + at, pulled * Phi::template slope<T>(load(z + at)));
                at += L;
            }
        };
        product<T>(B, vectors, {last, Ld, 1}, Packed<T>{W, N}, initial, team);
        team.meet();
        unpack(x, gy, gradient);
        team.meet();
    }

   private:
    // No gradient yet.
    void clear() const {
        const Span rows = team.share(N), mine = team.share(vectors);
        std::fill(gW + rows.begin * Np, gW + rows.end * Np, T(0));
        for (int64_t v = mine.begin * L; v < mine.end * L; v += L) {
            store(gb + v, Vec<T>{}), store(m + v, Vec<T>{});
            for (int64_t i = 0; i < S; ++i) store(gV + i * Np + v, Vec<T>{});
        }
    }

    // δ[s+1] from δ[s+2], where there is one.
    void pull(const T* last, T* here, const T* rates, const T* errors) const {
        if (!last) {
            const Span mine = team.share(vectors);
            for (int64_t slot = 0; slot < B; ++slot)
                for (int64_t v = mine.begin * L; v < mine.end * L; v += L)
                    store(here + slot * Ld + v, load(U + v) * errors[slot]);
            return;
        }
        const auto finish = [&](int64_t slot, int64_t first, auto& acc) {
            int64_t at = first * L;
            for (auto& pulled : acc) {
                const Vec<T> r = load(rates + slot * Ld + at);
                store(here + slot * Ld + at, pulled * Phi::template slope<T>(r) + load(U + at) * errors[slot]);
                at += L;
            }
        };
        product<T>(B, vectors, {last, Ld, 1}, Packed<T>{W, N}, finish, team);
    }

    // b̄ += Σ δ, V̄ += Σ δ xᵀ and m += Σ ȳ r of one step.
    void accumulate(const T* here, const T* inputs, const T* rates, const T* errors) const {
        const Span mine = team.share(vectors);
        for (int64_t v = mine.begin * L; v < mine.end * L; v += L) {
            Vec<T> bias = load(gb + v), met = load(m + v);
            for (int64_t slot = 0; slot < B; ++slot) {
                bias += load(here + slot * Ld + v);
                met += load(rates + slot * Ld + v) * errors[slot];
            }
            store(gb + v, bias), store(m + v, met);
            for (int64_t i = 0; i < S; ++i) {
                Vec<T> drive = load(gV + i * Np + v);
                for (int64_t slot = 0; slot < B; ++slot) drive += load(here + slot * Ld + v) * inputs[slot * S + i];
                store(gV + i * Np + v, drive);
            }
        }
    }

    // Ū = Σ ȳ[s+1] h[s+1] = W Σ ȳ[s+1] r[s] + (V / S) Σ ȳ[s+1] x[s+1] + b Σ ȳ
    void unpack(const T* x, const T* gy, T* const (&gradient)[TENSORS]) const {
        const Span rows = team.share(N);
        T readout_bias = 0;
        for (int64_t i = 0; i < steps * B; ++i) readout_bias += gy[i];
        for (int64_t i = rows.begin; i < rows.end; ++i) {
            unpack_row(gW, N, i, blocks, N, gradient[0] + i * N);
            const int64_t block = blocks.of(i / L), ld = blocks.width(block) * L;
            const T* const column = Wt + blocks.first(block) * L * (N - 1) + i;  // of a panel
            T total = 0;
            for (int64_t j = 0; j < N; ++j) total += column[j * ld] * m[j];
            gradient[3][i] = total + b[i] * readout_bias;
        }
        for (int64_t j = 0; j < S; ++j) {
            T driven = 0;
            for (int64_t i = 0; i < steps * B; ++i) driven += gy[i] * x[i * S + j];
            for (int64_t i = rows.begin; i < rows.end; ++i) gradient[3][i] += Vt[j * Np + i] * driven;
        }
        if (!team.leads()) return;
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < S; ++j) gradient[1][i * S + j] = gV[j * Np + i] / T(S);
            gradient[2][i] = gb[i];
        }
        gradient[4][0] = readout_bias;
        for (int64_t slot = 0; slot < B; ++slot) std::copy_n(gh0 + slot * Ld, N, gradient[5] + slot * N);
    }
};

}  // namespace
