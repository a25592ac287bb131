// The one-step map of a rate network, for flossing: h → W φ(h) + V x / S + b with D = W diag(φ'), and its adjoint
// (floss/networks/rate/reduced_adjoint.py).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "activation.h"
#include "calls.h"
#include "panels.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "width.h"
#include "workspace.h"

namespace {

template <class T, class Phi>
struct RateMap {
    using D = double;
    static constexpr int TENSORS = 6, FLOSSED = 3;  // W [N, N], V [N, S], b [N]; U [N], c [], h0 [B, N]
    static constexpr int64_t ROWS = 32;  // of W φ' at a time, so that they stay in the cache until they are used
    const Team team;
    const int64_t N, n, S, Np, Nd, Ld;              // Nd: N padded for D; Ld: from a row of Pt to the next
    const int64_t sizes[TENSORS];
    D *W_d, *Wt, *Ws, *Vt, *b, *h, *ahead;  // forwards; Ws [member of the team][ROWS][Nd]
    T* rates;                               // [T_f][Np], kept for the way back
    T *W, *Pt, *gW, *gV, *gb, *gh, *pulled, *rowsum;  // rowsum [first vector of a block][N][LANES]
    Width<T> width;
    int64_t steps, most;

    static int64_t threads(const FlossCall& call) { return most_threads(double(call.n * call.n * call.columns)); }

    RateMap(const FlossCall& call, Arena& arena, const Team& team)
        : team(team),
          N(call.n),
          n(N),
          S(call.inputs),
          Np(padded<T>(N)),
          Nd(padded<D>(N)),
          Ld(apart<T>(N)),
          sizes{N * N, N * S, N, N, 1, call.batch * N},
          steps(call.steps),
          most(padded<T>(call.columns)) {
        W_d = arena.take<D>(N * Nd), Wt = arena.take<D>(N * Nd), Ws = arena.take<D>(team.size * std::min(N, ROWS) * Nd), Vt = arena.take<D>(S * Nd);
        b = arena.take<D>(Nd), h = arena.take<D>(Nd), ahead = arena.take<D>(Nd);
        rates = arena.take<T>(steps * Np);
        W = arena.take<T>(N * Np), gW = arena.take<T>(N * Np), gV = arena.take<T>(S * Np), gb = arena.take<T>(Np);
        gh = arena.take<T>(Np), pulled = arena.take<T>(Np), rowsum = arena.take<T>(N * most);
        Pt = arena.take<T>(most * Ld);
    }

    void pack(T* const (&p)[FLOSSED], const T* h0, Width<T> of) {
        width = of;
        pack_panels([&](int64_t i) { return p[0] + i * N; }, 1, N, N, Np / LANES<T>, W, team);
        pack_panels([&](int64_t j) { return p[0] + j; }, N, N, N, Nd / LANES<D>, Wt, team);
        const Span rows = team.share(N);
        for (int64_t i = rows.begin; i < rows.end; ++i) {
            for (int64_t j = 0; j < N; ++j) W_d[i * Nd + j] = p[0][i * N + j];
            std::fill(W_d + i * Nd + N, W_d + (i + 1) * Nd, 0.);
        }
        if (team.leads()) {
            std::fill_n(Vt, S * Nd, 0.), std::fill_n(b, Nd, 0.), std::fill_n(h, Nd, 0.);
            std::fill_n(rates, steps * Np, T(0));
            for (int64_t i = 0; i < N; ++i) {
                for (int64_t j = 0; j < S; ++j) Vt[j * Nd + i] = D(p[1][i * S + j]) / D(S);
                b[i] = p[2][i], h[i] = h0[i];
            }
        }
        team.meet();
    }

    // Returns the number of units with φ' ≠ 0.
    int64_t advance(int64_t s, const T* x, const D* now, D* next) {
        T* const kept = rates + s * Np;
        const Span vectors = team.share(Nd / LANES<D>);
        for (int64_t v = vectors.begin * LANES<D>; v < vectors.end * LANES<D>; v += LANES<D>) {
            store(h + v, Phi::template rate<D>(load(h + v)));  // now the rate
            for (int64_t i = v; i < std::min(v + LANES<D>, N); ++i) kept[i] = T(h[i]);
        }
        team.meet();
        int64_t slopes = 0;
        for (int64_t i = 0; i < N; ++i) slopes += Phi::template slope<T>(kept[i]) != T(0);
        tangents(now, next);
        product<D>(1, Nd / LANES<D>, {h, Nd, 1}, Packed<D>{Wt, N}, [&](int64_t, int64_t first, auto& acc) {
            int64_t at = first * LANES<D>;
            for (auto& state : acc) {
                state += load(b + at);
                for (int64_t i = 0; i < S; ++i) state += load(Vt + i * Nd + at) * D(x[i]);
                store(ahead + at, state);
                at += LANES<D>;
            }
        }, team);
        team.meet();
        std::swap(h, ahead);
        return slopes;
    }

    bool finite() const {
        return std::all_of(h, h + N, [](D number) { return std::isfinite(number); });
    }

    void clear() {
        const Span rows = team.share(N);
        std::fill(gW + rows.begin * Np, gW + rows.end * Np, T(0));
        if (!team.leads()) return;
        std::fill_n(gV, S * Np, T(0)), std::fill_n(gb, Np, T(0)), std::fill_n(gh, Np, T(0));
        std::fill_n(Pt, most * Ld, T(0));
    }

    void pull(int64_t s, const T* p, const T* input, const T* gp, T* out) {
        const int64_t k = width.k, Kp = width.Kp, vectors = Np / LANES<T>;
        const T* r = rates + s * Np;
        // W̄ += Z̄ (φ' ∘ P)ᵀ: the only product over columns, hence the transpose
        const Span units = team.share(N);
        for (int64_t i = units.begin; i < units.end; ++i) {
            const T slope = Phi::template slope<T>(r[i]);
            for (int64_t j = 0; j < k; ++j) Pt[j * Ld + i] = slope * p[i * Kp + j];
        }
        team.meet();
        // and, of h[s+1] = W r[s] + V x[s+1] / S + b, h̄ rᵀ
        product<T>(N, vectors, {gp, Kp, 1}, Pt, Ld, k, [&](int64_t i, int64_t first, auto& acc) {
            constexpr int64_t V = sizeof acc / sizeof acc[0], row = V * LANES<T>;
            T* at = gW + first * LANES<T> * N + i * row;
            const T* rate = r + first * LANES<T>;
            for (auto& x : acc) {
                __builtin_prefetch(at + rows_of_tile(V) * row, 1);
                store(at, (load(at) + x) + load(rate) * gh[i]), at += LANES<T>, rate += LANES<T>;
            }
        }, team);
        pull_tangents(r, p, gp, out);
        const Span mine = team.share(vectors);
        for (int64_t v = mine.begin * LANES<T>; v < mine.end * LANES<T>; v += LANES<T>) {
            store(gb + v, load(gb + v) + load(gh + v));
            for (int64_t i = 0; i < S; ++i) store(gV + i * Np + v, load(gV + i * Np + v) + load(gh + v) * input[i]);
        }
        product<T>(1, vectors, {gh, Np, 1}, Packed<T>{W, N}, storing(pulled, Np), team);
        team.meet();
        const Blocks blocks(width.vectors, WIDEST);
        for (int64_t i = units.begin; i < units.end; ++i) {
            Vec<T> total = load(rowsum + i * LANES<T>);
            for (int64_t block = 1; block < blocks.count; ++block)
                total += load(rowsum + (blocks.first(block) * N + i) * LANES<T>);
            gh[i] = Phi::template slope<T>(r[i]) * pulled[i] + Phi::template curvature<T>(r[i]) * sum<T>(total);
        }
        team.meet();
    }

    void gradient(T* const (&out)[FLOSSED]) const {
        const Span rows = team.share(N);
        const Blocks blocks(Np / LANES<T>, WIDEST);
        for (int64_t i = rows.begin; i < rows.end; ++i) unpack_row(gW, N, i, blocks, N, out[0] + i * N);
        if (!team.leads()) return;
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < S; ++j) out[1][i * S + j] = gV[j * Np + i] / T(S);
            out[2][i] = gb[i];
        }
    }

   private:
    // next = W φ' now, some rows at a time.
    void tangents(const D* now, D* next) {
        D* const scaled = Ws + team.rank * std::min(N, ROWS) * Nd;
        const Span groups = team.share((N + ROWS - 1) / ROWS);
        for (int64_t begin = groups.begin * ROWS; begin < groups.end * ROWS; begin += ROWS) {
            const int64_t rows = std::min(ROWS, N - begin);
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t v = 0; v < Nd; v += LANES<D>)
                    store(scaled + i * Nd + v,
                          load(W_d + (begin + i) * Nd + v) * Phi::template slope<D>(load(h + v)));
            product<D>(rows, width.Kd / LANES<D>, {scaled, Nd, 1}, now, width.Kd, N,
                       storing(next + begin * width.Kd, width.Kd));
        }
    }

    // P̄ = φ' ∘ Wᵀ Z̄, and the sums over columns of P̄ ∘ P.
    void pull_tangents(const T* r, const T* p, const T* gp, T* out) const {
        const int64_t Kp = width.Kp;
        const auto finish = [&](int64_t i, int64_t v, auto& acc) {
            const T slope = Phi::template slope<T>(r[i]);
            int64_t at = i * Kp + v * LANES<T>;
            Vec<T> total = {};
            for (auto& x : acc) {
                const Vec<T> pulled = x * slope;
                store(out + at, pulled);
                total += pulled * load(p + at);
                at += LANES<T>;
            }
            store(rowsum + (v * N + i) * LANES<T>, total);
        };
        product_transposed<T>(N, Np, Packed<T>{W, N}, width.vectors, gp, Kp, finish, team);
    }
};

}  // namespace
