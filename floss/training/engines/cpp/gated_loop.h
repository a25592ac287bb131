// The time loop of a gated cell, forward and backward. The terms are those of gated_weights.h.
//
// Layout, rows of N units padded to Np numbers, those of h and of delta further apart (Ld, Lr):
//
//     h     [T + 1][B][Ld]                       outputs of the cell, the initial ones first
//     kept  [T][vector of units][B][STORED][L]   what the cell keeps of a step for the way back, besides h
//     delta [C B][Lr]                            adjoints of the blocks of the last few steps, until they meet h in W̄
//
// Of a step, each member of a team has a share of units and batch slots.
#pragma once

#include <algorithm>
#include <cstdint>

#include "calls.h"
#include "gated_weights.h"
#include "panels.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T, class Cell>
struct GatedLoop {
    static constexpr int GATES = Cell::GATES, BLOCKS = Cell::BLOCKS, VARIABLES = Cell::VARIABLES;
    static constexpr int KEPT = Cell::KEPT, GATED = Cell::GATED, STORED = Cell::STORED;
    static constexpr int FLOSSED = 2 + Cell::BIASES, TENSORS = FLOSSED + 3;  // W, V, b (, b_h); U [N], c [], h0
    static constexpr int64_t L = LANES<T>;
    const Team team;
    const int64_t N, S, B, steps, Np, Ld, vectors, chunk;
    int64_t sizes[TENSORS];
    GatedWeights<T, Cell> weights;
    const int64_t gates, row, Lr;
    T *h, *kept, *delta, *own, *carry, *W, *gW, *gV, *gb, *U, *gU, *gh0;
    T c;

    static int64_t threads(const TrainCall& call) {
        return most_threads(2.0 * GATES * double(call.batch * call.n * call.n));
    }

    GatedLoop(const TrainCall& call, Arena& arena, const Team& team)
        : team(team),
          N(call.n),
          S(call.inputs),
          B(call.batch),
          steps(call.steps),
          Np(padded<T>(N)),
          Ld(apart<T>(N)),
          vectors(Np / L),
          chunk(std::max<int64_t>(1, std::min<int64_t>(steps, 128 / B))),
          weights(N, S, arena),
          gates(weights.gates),
          row(weights.row),
          Lr(apart<T>(row)) {
        sizes[0] = GATES * N * N, sizes[1] = GATES * N * S, sizes[2] = GATES * N;
        if constexpr (Cell::BIASES == 2) sizes[3] = N;
        sizes[FLOSSED] = N, sizes[FLOSSED + 1] = 1, sizes[FLOSSED + 2] = B * VARIABLES * N;
        h = arena.take<T>((steps + 1) * B * Ld), kept = arena.take<T>(steps * B * STORED * Np);
        delta = arena.take<T>((chunk + 1) * B * Lr);
        own = arena.take<T>(B * Np), carry = arena.take<T>(B * Np);
        W = arena.take<T>(gates * Np), gW = arena.take<T>(gates * Np);
        gV = arena.take<T>(S * row), gb = arena.take<T>(row);
        U = arena.take<T>(Np), gU = arena.take<T>(Np), gh0 = arena.take<T>(B * Np);
    }

    // Memory that is free between forward and backward.
    Room<T> spare() const { return {delta, (chunk + 1) * B * Lr}; }

    void pack(T* const (&p)[TENSORS]) {
        weights.pack(p, team);
        pack_panels([&](int64_t l) { return row_of(p[0], l); }, 1, gates, N, vectors, W, team);
        c = *p[FLOSSED + 1];
        if (team.leads()) {
            std::fill_n(U, Np, T(0)), std::copy_n(p[FLOSSED], N, U);
            std::fill_n(h, B * Ld, T(0)), std::fill_n(own, B * Np, T(0));
            for (int64_t slot = 0; slot < B; ++slot) {
                const T* state = p[FLOSSED + 2] + slot * VARIABLES * N;
                std::copy_n(state, N, h + slot * Ld);
                std::copy_n(state + (VARIABLES - 1) * N, N, own + slot * Np);
            }
        }
        team.meet();
    }

    // y[s] = U·h[s] + c
    void forward(const T* x, T* y) const {
        const Span slots = team.share(B);
        for (int64_t s = 0; s < steps; ++s) {
            const T* const before = h + s * B * Ld;
            T* const after = h + (s + 1) * B * Ld;
            const auto gates = [&](int64_t slot, int64_t v, auto& block) {
                Vec<T> keeps[KEPT], mine = load(own + slot * Np + v * L);
                Cell::template gates<T>(block, mine, keeps);
                store(own + slot * Np + v * L, mine);
                T* const at = keep(s, slot, v);
                for (int q = 0; q < GATED; ++q) store(at + q * L, keeps[q]);
                ask_for(at + AHEAD * STORED * L);
            };
            const auto output = [&](int64_t v, Span slots) {
                for (int64_t slot = slots.begin; slot < slots.end; ++slot) {
                    Vec<T> keeps[KEPT], mine = load(own + slot * Np + v * L);
                    T* const at = keep(s, slot, v);
                    for (int q = 0; q < GATED; ++q) keeps[q] = load(at + q * L);
                    store(after + slot * Ld + v * L,
                          Cell::template output<T>(load(before + slot * Ld + v * L), mine, keeps));
                    if constexpr (VARIABLES == 1) store(own + slot * Np + v * L, mine);
                    for (int q = GATED; q < STORED; ++q) store(at + q * L, keeps[q]);
                }
            };
            weights.sums(B, before, Ld, x + s * B * S, gates, output, team);
            team.meet();
            for (int64_t slot = slots.begin; slot < slots.end; ++slot) {
                Vec<T> seen = {};
                for (int64_t v = 0; v < Np; v += L) seen += load(after + slot * Ld + v) * load(U + v);
                y[s * B + slot] = sum<T>(seen) + c;
            }
        }
        team.meet();
    }

    // h̄[s] = ȳ[s] U + Wᵀ δ[s+1], from which the cell has δ[s];  W̄ = Σ δ[s+1] h[s]ᵀ and so on, C steps at a time
    void backward(const T* x, const T* gy, T* const (&gradient)[TENSORS]) const {
        clear();
        const T* last = nullptr;  // δ[s+2]
        T* const spare = delta + chunk * B * Lr;
        for (int64_t end = steps; end > 0; end -= chunk) {
            const int64_t start = std::max<int64_t>(end - chunk, 0);
            for (int64_t s = end - 1; s >= start; --s) {
                T* const here = delta + (s - start) * B * Lr;  // δ[s+1], which meets h[s]
                pull(last, here, s, gy + s * B);
                team.meet();
                last = here;
                accumulate(here, x + s * B * S, h + (s + 1) * B * Ld, gy + s * B);
            }
            product<T>(gates, vectors, {delta, 1, Lr}, h + start * B * Ld, Ld, (end - start) * B,
                       adding_packed(gW, gates), team);
            if (start) {  // the next chunk overwrites the adjoints from its end on
                const Span mine = team.share(B * Lr);
                std::copy(delta + mine.begin, delta + mine.end, spare + mine.begin);
                last = spare;
            }
            team.meet();
        }
        product<T>(B, vectors, {last, Lr, 1}, Packed<T>{W, gates}, storing(gh0, Np), team);
        team.meet();
        unpack(gradient);
        if (team.leads()) {
            T& readout_bias = gradient[FLOSSED + 1][0] = 0;
            for (int64_t i = 0; i < steps * B; ++i) readout_bias += gy[i];
        }
        team.meet();
    }

   private:
    // Row l of W in the order of weights.spot; none where that is padding.
    const T* row_of(const T* from, int64_t l) const {
        const int64_t gate = l / L % GATES, unit = l / L / GATES * L + l % L;
        return unit < N ? from + (gate * N + unit) * N : nullptr;
    }

    // No gradient yet.
    void clear() const {
        const Span rows = team.share(gates), drives = team.share(row / L), units = team.share(vectors);
        std::fill(gW + rows.begin * Np, gW + rows.end * Np, T(0));
        std::fill(gb + drives.begin * L, gb + drives.end * L, T(0));
        for (int64_t j = 0; j < S; ++j) std::fill(gV + j * row + drives.begin * L, gV + j * row + drives.end * L, T(0));
        std::fill(gU + units.begin * L, gU + units.end * L, T(0));
        if (team.leads()) std::fill_n(carry, B * Np, T(0));
        team.meet();
    }

    // δ[s+1] from δ[s+2], where there is one.
    void pull(const T* last, T* here, int64_t s, const T* errors) const {
        const auto finish = [&](int64_t slot, int64_t v, auto& acc) CALLED {
            const bool inside = slot + AHEAD < B;
            for (auto& pulled : acc) {
                Vec<T> keeps[KEPT], block[BLOCKS];
                const T* const at = keep(s, slot, v);
                for (int q = 0; q < STORED; ++q) keeps[q] = load(at + q * L);
                ask_for(inside ? at + AHEAD * STORED * L : keep(std::max<int64_t>(s - 1, 0), slot + AHEAD - B, v));
                const T* const before = h + (s * B + slot) * Ld + v * L;
                Cell::template recall<T>(load(before), load(before + B * Ld), keeps);
                T* const carried = carry + slot * Np + v * L;
                const Vec<T> adjoint = pulled + load(U + v * L) * errors[slot];
                store(carried, Cell::template pull<T>(keeps, {}, adjoint, load(carried), block));
                for (int q = 0; q < BLOCKS; ++q) store(here + slot * Lr + weights.place(q, v), block[q]);
                ++v;
            }
        };
        if (last) {
            product<T>(B, vectors, {last, Lr, 1}, Packed<T>{W, gates}, finish, team);
            return;
        }
        const Span mine = team.share(vectors);
        for (int64_t slot = 0; slot < B; ++slot)
            for (int64_t v = mine.begin; v < mine.end; ++v) {
                Vec<T> none[1] = {};
                finish(slot, v, none);
            }
    }

    T* keep(int64_t s, int64_t slot, int64_t v) const { return kept + ((s * vectors + v) * B + slot) * STORED * L; }

    // What is kept of a sequence does not fit into a core's cache: asked for one tile of slots ahead, into the second
    // level, for the first one is full of weights.
    static constexpr int64_t AHEAD = 4;
    static ALWAYS void ask_for(const T* at) {
        for (int q = 0; q < STORED; ++q) __builtin_prefetch(at + q * L, 1, 2);
    }

    // b̄ += Σ δ, V̄ += Σ δ xᵀ and Ū += Σ ȳ h of one step.
    void accumulate(const T* here, const T* inputs, const T* after, const T* errors) const {
        const Span drives = team.share(row / L), units = team.share(vectors);
        int64_t at = drives.begin * L;
        for (; at + 4 * L <= drives.end * L; at += 4 * L) accumulate_blocks<4>(here + at, inputs, at);
        for (; at < drives.end * L; at += L) accumulate_blocks<1>(here + at, inputs, at);
        for (at = units.begin * L; at < units.end * L; at += L) {
            Vec<T> met = load(gU + at);
            for (int64_t slot = 0; slot < B; ++slot) met += load(after + slot * Ld + at) * errors[slot];
            store(gU + at, met);
        }
    }

    // b̄ and V̄ of V vectors of blocks, side by side, for one sum alone would wait for each addition.
    template <int V>
    ALWAYS void accumulate_blocks(const T* here, const T* inputs, int64_t at) const {
        Vec<T> bias[V], drive[V];
        for (int v = 0; v < V; ++v) bias[v] = load(gb + at + v * L);
        for (int64_t j = 0; j < S; ++j) {
            T* const out = gV + j * row + at;
            for (int v = 0; v < V; ++v) drive[v] = load(out + v * L);
            for (int64_t slot = 0; slot < B; ++slot)
                for (int v = 0; v < V; ++v) {
                    const Vec<T> delta = load(here + slot * Lr + v * L);
                    if (!j) bias[v] += delta;
                    drive[v] += delta * inputs[slot * S + j];
                }
            for (int v = 0; v < V; ++v) store(out + v * L, drive[v]);
        }
        for (int v = 0; v < V; ++v) store(gb + at + v * L, bias[v]);
    }

    void unpack(T* const (&gradient)[TENSORS]) const {
        const Span mine = team.share(N);
        const Blocks blocks(vectors, WIDEST);
        for (int gate = 0; gate < GATES; ++gate)
            for (int64_t i = mine.begin; i < mine.end; ++i) {
                const int64_t to = gate * N + i, driven = weights.spot(Cell::DRIVEN[gate], i);
                unpack_row(gW, gates, weights.spot(gate, i), blocks, N, gradient[0] + to * N);
                for (int64_t j = 0; j < S; ++j) gradient[1][to * S + j] = gV[j * row + driven];
                gradient[2][to] = gb[driven];
            }
        if (!team.leads()) return;
        if constexpr (Cell::BIASES == 2)
            for (int64_t i = 0; i < N; ++i) gradient[3][i] = gb[weights.spot(2, i)];
        std::copy_n(gU, N, gradient[FLOSSED]);
        for (int64_t slot = 0; slot < B; ++slot) {
            T* const state = gradient[FLOSSED + 2] + slot * VARIABLES * N;
            std::copy_n(gh0 + slot * Np, N, state);
            T* const mine = state + (VARIABLES - 1) * N;
            for (int64_t i = 0; i < N; ++i) mine[i] = (VARIABLES == 2 ? T(0) : mine[i]) + carry[slot * Np + i];
        }
    }
};

}  // namespace
