// The one-step map of a gated cell, for flossing. The terms are those of gated_weights.h.
//
// Tangent vectors are rows of units, of h and then of `own` where that is another variable. With the gates' tangents
// W_g dh, and the slopes of the cell,
//
//     down' = ∂own'/∂own down + Σ_{g<3} ∂own'/∂block_g W_g dh,     dh' = ∂h'/∂own' down' + ∂h'/∂block_3 W_3 dh  (or down')
//
// and backwards, the slopes have adjoints as well, which are sums over the tangent vectors.
//
// Layout, rows padded to Kp numbers for k tangent vectors:
//
//     tangents [T_f][unit][gate][Kp]   of the gates
//     kept     [T_f][KEPT][Np]         what the cell keeps of a step
//     states   [T_f][Np]               h before each step
//
// Of a step, each member of a team has a share of the units.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "calls.h"
#include "gated_weights.h"
#include "panels.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "width.h"
#include "workspace.h"

namespace {

template <class T, class Cell>
struct GatedMap {
    using D = double;
    static constexpr int GATES = Cell::GATES, BLOCKS = Cell::BLOCKS, KEPT = Cell::KEPT, SLOPES = Cell::SLOPES;
    static constexpr int VARIABLES = Cell::VARIABLES, INTO_OWN = 3, KEEP = 4, LEAVE = 5;  // rows of the slopes
    static constexpr int FLOSSED = 2 + Cell::BIASES, TENSORS = FLOSSED + 3;
    const Team team;
    const int64_t N, n, S, Np, Nd, Ld, rows, steps;  // Ld: from a row of Pt to the next; rows of W
    const Blocks blocks;                             // of W
    int64_t sizes[TENSORS];
    GatedWeights<D, Cell> weights;
    D *W_d, *h, *own, *ahead, *slope_d, *kept_d;  // forwards; W_d [unit][gate][Nd]
    T *tangents, *kept, *states;                  // kept for the way back
    T *W, *Pt, *gW, *gV, *gb, *gh, *gown, *slope, *gslope, *pulled, *delta;  // W, gW of rows [unit][gate]; delta as well
    Width<T> width;
    int64_t most;

    static int64_t threads(const FlossCall& call) {
        return most_threads(GATES * double(call.n * call.n * call.columns));
    }

    GatedMap(const FlossCall& call, Arena& arena, const Team& team)
        : team(team),
          N(call.n),
          n(VARIABLES * N),
          S(call.inputs),
          Np(padded<T>(N)),
          Nd(padded<D>(N)),
          Ld(apart<T>(N)),
          rows(GATES * N),
          steps(call.steps),
          blocks(Np / LANES<T>, WIDEST),
          weights(N, S, arena),
          most(padded<T>(call.columns)) {
        sizes[0] = GATES * N * N, sizes[1] = GATES * N * S, sizes[2] = GATES * N;
        if constexpr (Cell::BIASES == 2) sizes[3] = N;
        sizes[FLOSSED] = N, sizes[FLOSSED + 1] = 1, sizes[FLOSSED + 2] = call.batch * n;
        W_d = arena.take<D>(rows * Nd), h = arena.take<D>(Nd), own = arena.take<D>(Nd), ahead = arena.take<D>(Nd);
        slope_d = arena.take<D>(SLOPES * Nd), kept_d = arena.take<D>(KEPT * Nd);
        tangents = arena.take<T>(steps * rows * most), kept = arena.take<T>(steps * KEPT * Np);
        states = arena.take<T>(steps * Np);
        W = arena.take<T>(rows * Np), gW = arena.take<T>(rows * Np), Pt = arena.take<T>(most * Ld);
        gV = arena.take<T>(S * BLOCKS * Np), gb = arena.take<T>(BLOCKS * Np), gh = arena.take<T>(Np);
        gown = arena.take<T>(Np), slope = arena.take<T>(SLOPES * Np), gslope = arena.take<T>(SLOPES * Np);
        pulled = arena.take<T>(rows * most), delta = arena.take<T>(GATES * Np);
    }

    void pack(T* const (&p)[FLOSSED], const T* h0, Width<T> of) {
        const bool resized = width.k != of.k;
        width = of;
        weights.pack(p, team);
        const auto row = [&](int64_t l) { return p[0] + (l % GATES * N + l / GATES) * N; };
        pack_panels(row, 1, rows, N, Np / LANES<T>, W, team);
        const Span mine = team.share(rows);
        for (int64_t l = mine.begin; l < mine.end; ++l) {
            std::copy_n(row(l), N, W_d + l * Nd);
            std::fill(W_d + l * Nd + N, W_d + (l + 1) * Nd, 0.);
        }
        if (team.leads()) {
            if (resized) std::fill_n(tangents, steps * rows * most, T(0));  // the padding, which no step writes to
            std::fill_n(h, Nd, 0.), std::fill_n(own, Nd, 0.);
            std::copy_n(h0, N, h), std::copy_n(h0 + n - N, N, own);
            std::fill_n(kept, steps * KEPT * Np, T(0)), std::fill_n(states, steps * Np, T(0));
        }
        team.meet();
    }

    int64_t advance(int64_t s, const T* x, const D* now, D* next) {
        if (team.leads()) std::copy_n(h, N, states + s * Np);
        const auto finish = [&](int64_t, int64_t v, auto& block) {
            const int64_t at = v * LANES<D>;
            Vec<D> keeps[KEPT], slopes[SLOPES], mine = load(own + at);
            Cell::template gates<D>(block, mine, keeps);
            store(ahead + at, Cell::template output<D>(load(h + at), mine, keeps));
            store(own + at, mine);
            Cell::template slopes<D>(keeps, slopes);
            for (int q = 0; q < KEPT; ++q) store(kept_d + q * Nd + at, keeps[q]);
            for (int q = 0; q < SLOPES; ++q) store(slope_d + q * Nd + at, slopes[q]);
        };
        weights.sums(1, h, Nd, x, finish, [](int64_t, Span) {}, team);
        team.meet();
        std::swap(h, ahead);
        for (int q = 0; q < KEPT && team.leads(); ++q) std::copy_n(kept_d + q * Nd, N, kept + (s * KEPT + q) * Np);
        const int64_t Kd = width.Kd;
        const Span units = team.share(N);  // the gates of a unit add up, in this order
        const Strided<D> gates{W_d + units.begin * GATES * Nd, Nd, 1};
        const int64_t count = (units.end - units.begin) * GATES;
        product<D>(count, Kd / LANES<D>, gates, now, Kd, N, [&](int64_t i, int64_t first, auto& acc) CALLED {
            const int64_t unit = units.begin + i / GATES, gate = i % GATES, mine = (n - N + unit) * Kd;
            T* keep = tangents + ((s * N + unit) * GATES + gate) * width.Kp + first * LANES<D>;
            const D *of = slope_d + unit, along = of[gate * Nd];
            int64_t at = first * LANES<D>;
            for (auto& tangent : acc) {
                __builtin_prefetch(keep + AHEAD * GATES * width.Kp, 1, 2);
                store_rounded<T>(keep, tangent), keep += LANES<D>;
                if (gate == 0)
                    store(next + mine + at, load(now + mine + at) * of[KEEP * Nd] + tangent * along);
                else if (gate < INTO_OWN)
                    store(next + mine + at, load(next + mine + at) + tangent * along);
                else if constexpr (Cell::OUTPUT)
                    store(next + unit * Kd + at, load(next + mine + at) * of[LEAVE * Nd] + tangent * along);
                at += LANES<D>;
            }
        });
        team.meet();
        return n;
    }

    bool finite() const {
        const auto sound = [](D number) { return std::isfinite(number); };
        return std::all_of(h, h + N, sound) && std::all_of(own, own + N, sound);
    }

    void clear() {
        const Span mine = team.share(rows);
        std::fill(gW + mine.begin * Np, gW + mine.end * Np, T(0));
        if (!team.leads()) return;
        std::fill_n(gV, S * BLOCKS * Np, T(0)), std::fill_n(gb, BLOCKS * Np, T(0)), std::fill_n(gh, Np, T(0));
        std::fill_n(gown, Np, T(0)), std::fill_n(gslope, SLOPES * Np, T(0)), std::fill_n(Pt, most * Ld, T(0));
    }

    void pull(int64_t s, const T* p, const T* x, const T* gp, T* out) {
        const int64_t Kp = width.Kp, vectors = Np / LANES<T>;
        const Span mine = team.share(vectors), units{mine.begin * LANES<T>, std::min(mine.end * LANES<T>, N)};
        for (int64_t v = mine.begin * LANES<T>; v < mine.end * LANES<T>; v += LANES<T>) {
            Vec<T> keeps[KEPT], slopes[SLOPES];
            for (int q = 0; q < KEPT; ++q) keeps[q] = load(kept + (s * KEPT + q) * Np + v);
            Cell::template slopes<T>(keeps, slopes);
            for (int q = 0; q < SLOPES; ++q) store(slope + q * Np + v, slopes[q]);
        }
        for (int64_t i = units.begin; i < units.end; ++i) {
            pull_unit(s, i, p, gp, out);
            for (int64_t j = 0; j < width.k; ++j) Pt[j * Ld + i] = p[i * Kp + j];
        }
        pull_state(s, x, mine);
        team.meet();
        // W̄ += Σ of the gates' adjoints times dh, the only product over columns, hence the transpose; and δ hᵀ
        const T* const before = states + s * Np;
        product<T>(rows, vectors, {pulled, Kp, 1}, Pt, Ld, width.k, [&](int64_t i, int64_t first, auto& acc) {
            constexpr int64_t V = sizeof acc / sizeof acc[0], wide = V * LANES<T>;
            T* at = gW + first * LANES<T> * rows + i * wide;
            const T* h = before + first * LANES<T>;
            for (auto& x : acc) {
                __builtin_prefetch(at + rows_of_tile(V) * wide, 1);
                store(at, (load(at) + x) + load(h) * delta[i]), at += LANES<T>, h += LANES<T>;
            }
        }, team);
        const Packed<T> packed{W, rows};
        if constexpr (VARIABLES == 2)
            product_transposed<T>(N, Np, packed, width.vectors, pulled, Kp, storing(out, Kp), team);
        else
            product_transposed<T>(N, Np, packed, width.vectors, pulled, Kp, adding(out, Kp), team);
        product<T>(1, vectors, {delta, rows, 1}, packed, storing(gh, Np), team);
        team.meet();
    }

    void gradient(T* const (&out)[FLOSSED]) const {
        const Span units = team.share(N);
        for (int gate = 0; gate < GATES; ++gate)
            for (int64_t i = units.begin; i < units.end; ++i) {
                const int64_t to = gate * N + i, driven = Cell::DRIVEN[gate] * Np + i;
                unpack_row(gW, rows, i * GATES + gate, blocks, N, out[0] + to * N);
                for (int64_t j = 0; j < S; ++j) out[1][to * S + j] = gV[j * BLOCKS * Np + driven];
                out[2][to] = gb[driven];
            }
        if constexpr (Cell::BIASES == 2)
            if (team.leads()) std::copy_n(gb + 2 * Np, N, out[3]);
    }

   private:
    // The gates' tangents of a run do not fit into a core's cache: asked for so many units ahead.
    static constexpr int64_t AHEAD = 2;

    // The tangents of one unit's gates and of its `own`, and the adjoints of its slopes.
    void pull_unit(int64_t s, int64_t unit, const T* p, const T* gp, T* out) {
        const int64_t Kp = width.Kp, mine = (n - N + unit) * Kp;
        const T* const of = slope + unit;
        const T* const gates = tangents + (s * N + unit) * GATES * Kp;
        T* const adjoints = pulled + unit * GATES * Kp;
        Vec<T> sums[SLOPES] = {};
        for (int64_t v = 0; v < Kp; v += LANES<T>) {
            for (int q = 0; q < GATES; ++q) __builtin_prefetch(gates + (q + AHEAD * GATES) * Kp + v);
            const Vec<T> before = load(p + mine + v);
            Vec<T> total = load(gp + mine + v);
            if constexpr (Cell::OUTPUT) {
                const Vec<T> output = load(gp + unit * Kp + v), gate = load(gates + INTO_OWN * Kp + v);
                Vec<T> down = before * of[KEEP * Np];
                for (int q = 0; q < INTO_OWN; ++q) down += load(gates + q * Kp + v) * of[q * Np];
                sums[INTO_OWN] += output * gate, sums[LEAVE] += output * down;
                store(adjoints + INTO_OWN * Kp + v, output * of[INTO_OWN * Np]);
                total += output * of[LEAVE * Np];
            }
            for (int q = 0; q < INTO_OWN; ++q) {
                sums[q] += total * load(gates + q * Kp + v);
                store(adjoints + q * Kp + v, total * of[q * Np]);
            }
            sums[KEEP] += total * before;
            store(out + mine + v, total * of[KEEP * Np]);
        }
        for (int q = 0; q < SLOPES; ++q) gslope[q * Np + unit] = sum<T>(sums[q]);
    }

    // The trajectory: the adjoints of h and own after the step, and of the slopes, to those of own and of the blocks.
    void pull_state(int64_t s, const T* x, Span mine) {
        for (int64_t v = mine.begin * LANES<T>; v < mine.end * LANES<T>; v += LANES<T>) {
            Vec<T> keeps[KEPT], slopes[SLOPES], further[KEPT], block[BLOCKS];
            for (int q = 0; q < KEPT; ++q) keeps[q] = load(kept + (s * KEPT + q) * Np + v);
            for (int q = 0; q < SLOPES; ++q) slopes[q] = load(gslope + q * Np + v);
            Cell::template pull_slopes<T>(keeps, slopes, further);
            store(gown + v, Cell::template pull<T>(keeps, further, load(gh + v), load(gown + v), block));
            for (int q = 0; q < BLOCKS; ++q) {
                const int64_t at = q * Np + v;
                store(gb + at, load(gb + at) + block[q]);
                for (int64_t j = 0; j < S; ++j) {
                    T* const drive = gV + j * BLOCKS * Np + at;
                    store(drive, load(drive) + block[q] * x[j]);
                }
                for (int i = 0; q < GATES && i < LANES<T>; ++i) delta[(v + i) * GATES + q] = block[q][i];
            }
        }
    }
};

}  // namespace
