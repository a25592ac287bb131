// QR decompositions of tangent vectors: modified block Gram-Schmidt in panels of 16 columns, in double precision.
//
// Done once, ‖QᵀQ - I‖ is about ε κ, far below the rounding of single precision; for networks in double precision every
// projection is done twice, which keeps it at rounding level for every κ < 1/ε (Barlow & Smoktunowicz 2013).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "workspace.h"

namespace {

// QR decomposition of tangent vectors and the inverse of its triangular factor.
template <class T>
struct Orthonormaliser {
    static constexpr int P = PANEL<T>;
    const Team team;  // of which the leader alone has the panels
    const int64_t N, most;  // rows; columns at most, padded
    const bool twice;       // project twice
    int64_t k, Kp;
    T *R, *first, *second, *projected;

    Orthonormaliser(int64_t N, int64_t columns, bool twice, Arena& arena, const Team& team)
        : team(team), N(N), most(padded<T>(columns)), twice(twice) {
        R = arena.take<T>(most * most);
        first = arena.take<T>(P * P), second = arena.take<T>(P * P);
        projected = arena.take<T>(std::max<int64_t>(most, P) * P);
    }

    void size(int64_t columns) {
        k = columns, Kp = padded<T>(columns);
        if (team.leads()) std::fill_n(R, Kp * Kp, T(0));
    }

    // Modified Gram-Schmidt within `width` columns of q [N][Kp], in place; their triangular factor into t [P][P].
    // A column that is exactly zero stays zero.
    template <int V>
    void panel(T* q, int width, T* t) const {
        std::fill_n(t, P * P, T(0));
        Dots<V> dots = {};
        meet<V>(q, 0, dots);
        columns<V, 0>(q, width, t, dots);
    }

    // Of each column of the panel with one of them: four sums side by side, for one alone would wait for each addition.
    static constexpr int ROWS = 4;
    template <int V>
    using Dots = Vec<T>[ROWS][V];

    template <int V>
    void meet(const T* q, int column, Dots<V>& dots) const {
        for_rows([&](int64_t i, int r) {
            const T* const at = q + i * Kp;
            for (int v = 0; v < V; ++v) dots[r][v] += load(at + v * LANES<T>) * at[column];
        });
    }

    template <class Sweep>
    ALWAYS void for_rows(Sweep sweep) const {
        int64_t i = 0;
        for (; i + ROWS <= N; i += ROWS)
            for (int r = 0; r < ROWS; ++r) sweep(i + r, r);
        for (; i < N; ++i) sweep(i, 0);
    }

    // The columns from vector FROM on, given their products with the first of these. One sweep over the rows takes column
    // j out of the later ones and, while a row is at hand, meets it with the next column. Vectors before FROM are done.
    template <int V, int FROM>
    void columns(T* q, int width, T* t, Dots<V>& dots) const {
        for (int j = FROM * LANES<T>; j < std::min(width, (FROM + 1) * LANES<T>); ++j) {
            alignas(64) T row[V * LANES<T>], taken[V * LANES<T>], scale[V * LANES<T>];
            for (int v = FROM; v < V; ++v)
                store(row + v * LANES<T>, (dots[0][v] + dots[1][v]) + (dots[2][v] + dots[3][v]));
            const T length = std::sqrt(row[j]), inverse = length == T(0) ? T(0) : T(1) / length;
            for (int c = FROM * LANES<T>; c < V * LANES<T>; ++c) {
                const T dot = c > j ? row[c] * inverse : T(0);
                t[j * P + c] = c == j ? length : dot;
                taken[c] = dot * inverse;
                scale[c] = c == j ? inverse : T(1);
            }
            Vec<T> along[V], keep[V], sums[ROWS][V];
            for (int v = FROM; v < V; ++v) {
                along[v] = load(taken + v * LANES<T>), keep[v] = load(scale + v * LANES<T>);
                for (int r = 0; r < ROWS; ++r) sums[r][v] = Vec<T>{};
            }
            const int following = std::min(j + 1, width - 1);
            for_rows([&](int64_t i, int r) {
                T* const at = q + i * Kp;
                const T mine = at[j];
                for (int v = FROM; v < V; ++v)
                    store(at + v * LANES<T>, load(at + v * LANES<T>) * keep[v] - unfused(along[v] * mine));
                const T other = at[following];
                for (int v = FROM; v < V; ++v) sums[r][v] += load(at + v * LANES<T>) * other;
            });
            for (int v = FROM; v < V; ++v)
                for (int r = 0; r < ROWS; ++r) dots[r][v] = sums[r][v];
        }
        if constexpr (FROM + 1 < V) columns<V, FROM + 1>(q, width, t, dots);
    }

    void panel(T* q, int64_t vectors, int width, T* t) const {
        if (vectors == 1) panel<1>(q, width, t);
        if constexpr (P / LANES<T> >= 2)
            if (vectors == 2) panel<2>(q, width, t);
        if constexpr (P / LANES<T> >= 4) {
            if (vectors == 3) panel<3>(q, width, t);
            if (vectors == 4) panel<4>(q, width, t);
        }
        if constexpr (P / LANES<T> >= 8) {
            if (vectors == 5) panel<5>(q, width, t);
            if (vectors == 6) panel<6>(q, width, t);
            if (vectors == 7) panel<7>(q, width, t);
            if (vectors == 8) panel<8>(q, width, t);
        }
    }

    // q [N][Kp] = Q R in place; X = R^{-T} [k][Kp]; R_jj into `diagonal`. Members of a team have met before.
    void decompose(T* q, T* X, T* diagonal) {
        if (team.leads() && twice) std::fill_n(R, Kp * Kp, T(0));  // which is added to
        for (int64_t p = 0; p < k; p += P) {
            const int width = int(std::min<int64_t>(P, k - p));
            const int64_t inside = std::min<int64_t>(P, Kp - p) / LANES<T>;  // vectors of the panel
            const int64_t right = (Kp - p) / LANES<T> - inside;              // and to its right
            if (team.leads()) panel(q + p, inside, width, first);
            if (twice) project_again(q, p, width, inside);
            if (team.leads()) {
                if (!twice)
                    for (int i = 0; i < width; ++i) std::copy_n(first + i * P, inside * LANES<T>, R + (p + i) * Kp + p);
                for (int j = 0; j < width; ++j) diagonal[p + j] = R[(p + j) * Kp + p + j];
            }
            team.meet();
            if (right) {
                product<T>(width, right, {q + p, 1, Kp}, q + p + P, Kp, N, storing(R + p * Kp + p + P, Kp), team);
                team.meet();
                product<T>(N, right, {q + p, Kp, 1}, R + p * Kp + p + P, Kp, width, adding<T, -1>(q + p + P, Kp), team);
            }
            if (team.leads()) invert(p, width, inside, X);
            team.meet();
        }
    }

    // R_{<p,p} = S₁ + S₂ T₁ and R_pp = T₂ T₁
    void project_again(T* q, int64_t p, int width, int64_t inside) {
        if (p) {
            team.meet();
            product<T>(p, inside, {q, 1, Kp}, q + p, Kp, N, storing(projected, P), team);
            team.meet();
            product<T>(N, inside, {q, Kp, 1}, projected, P, p, adding<T, -1>(q + p, Kp), team);
            product<T>(p, inside, {projected, P, 1}, first, P, width, adding(R + p, Kp), team);
            team.meet();
        }
        if (!team.leads()) return;
        panel(q + p, inside, width, second);
        product<T>(width, inside, {second, P, 1}, first, P, width, storing(R + p * Kp + p, Kp));
    }

    // Rows p … p + width of X = R^{-T}: X_pp = (R_ppᵀ)^{-1}, X_{p,<p} = -X_pp (R_{<p,p})ᵀ X_{<p,<p}.
    void invert(int64_t p, int width, int64_t inside, T* X) {
        T* const corner = second;  // X_pp [P][P]
        std::fill_n(corner, P * P, T(0));
        for (int i = 0; i < width; ++i) {
            const T* column = R + p * Kp + p + i;
            const T pivot = column[i * Kp];
            const T inverse = pivot > std::numeric_limits<T>::min() ? T(1) / pivot : T(0);
            T* const at = corner + i * P;
            at[i] = T(1);
            Vec<T> row[P / LANES<T>];
            for (int v = 0; v < P / LANES<T>; ++v) row[v] = load(at + v * LANES<T>);
            for (int l = 0; l < i; ++l)
                for (int v = 0; v < P / LANES<T>; ++v) row[v] -= load(corner + l * P + v * LANES<T>) * column[l * Kp];
            for (int v = 0; v < P / LANES<T>; ++v) store(at + v * LANES<T>, row[v] * inverse);
        }
        for (int i = 0; i < width; ++i) {
            std::fill_n(X + (p + i) * Kp, Kp, T(0));
            std::copy_n(corner + i * P, inside * LANES<T>, X + (p + i) * Kp + p);
        }
        if (!p) return;
        T* const met = projected;  // [P][p], R_{<p,p}ᵀ X_{<p,<p}
        const int64_t vectors = p / LANES<T>;
        product_lower<T>(width, vectors, {R + p, 1, Kp}, X, Kp, p, storing(met, p));
        product<T>(width, vectors, {corner, P, 1}, met, p, width, [&](int64_t i, int64_t v, auto& acc) {
            T* at = X + (p + i) * Kp + v * LANES<T>;
            for (auto& x : acc) store(at, -x), at += LANES<T>;
        });
    }
};

}  // namespace
