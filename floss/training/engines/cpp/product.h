// The kernel that every product goes through, register-blocked: a tile of R rows by V vectors of the result lives in
// registers while it runs over the inner index l,
//
//     C[i][:] = Σ_l a(i, l) b[l][:]
//
// with `a` read number by number, through any two strides (so a transposed matrix costs nothing), and `b` vector by vector.
// What is done with a finished tile (tanh, φ', masks, storing) is the caller's, and happens while it is in registers.
// A number of the result is one sum in the order of l, whatever the tiles are: tiles change no bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "vectors.h"

#ifndef FLOSS_ACCUMULATORS  // vector registers that a tile may fill: all but those for b and for one number of a
#define FLOSS_ACCUMULATORS 12
#endif

namespace {

using std::int64_t;
using std::ptrdiff_t;

template <class T>
struct Strided {  // a(i, l) = at[i * row + l * step]
    const T* at;
    ptrdiff_t row, step;
};

struct Span {
    int64_t begin, end;
};

template <class T, int R, int V, class Finish>
ALWAYS void tile(const T* a, ptrdiff_t row, ptrdiff_t step, const T* b, ptrdiff_t ldb, Span inner, Finish&& finish) {
    Vec<T> acc[R][V] = {};
    a += inner.begin * step;
    b += inner.begin * ldb;
    for (int64_t l = inner.begin; l < inner.end; ++l) {
        Vec<T> right[V];
        for (int v = 0; v < V; ++v) right[v] = load(b + v * LANES<T>);
        for (int r = 0; r < R; ++r) {
            const T left = a[r * row];
            for (int v = 0; v < V; ++v) acc[r][v] += right[v] * left;
        }
        a += step;
        b += ldb;
    }
    for (int r = 0; r < R; ++r) finish(r, acc[r]);
}

constexpr int rows_of_tile(int vectors) {
    constexpr int most = FLOSS_ACCUMULATORS;
    return vectors == 1 ? (most >= 16 ? 16 : 8) : most / vectors >= 8 ? 8 : most / vectors >= 4 ? 4 : most / vectors >= 2 ? 2 : 1;
}

template <class T, int V, class Inner, class Finish>
void product_columns(int64_t rows, int64_t first, Strided<T> a, const T* b, ptrdiff_t ldb, Inner& inner,
                     Finish& finish) {
    const auto run = [&](auto size, int64_t i) {
        constexpr int R = decltype(size)::value;
        const Span span = inner(i, R, first, V);
        if (span.begin < span.end)
            tile<T, R, V>(a.at + i * a.row, a.row, a.step, b + first * LANES<T>, ldb, span,
                          [&](int r, Vec<T>(&acc)[V]) { finish(i + r, first, acc); });
    };
    constexpr int R = rows_of_tile(V);
    int64_t i = 0;
    for (; i + R <= rows; i += R) run(std::integral_constant<int, R>{}, i);
    if constexpr (R > 4)
        for (; i + 4 <= rows; i += 4) run(std::integral_constant<int, 4>{}, i);
    for (; i < rows; ++i) run(std::integral_constant<int, 1>{}, i);
}

// C[i][:] = Σ_l a(i, l) b[l][:] for `rows` rows and `vectors` vectors, tile by tile: finish(i, first vector, acc[V]).
// Each tile runs over the l that `inner(row, rows, vector, vectors)` names; an empty span skips it, finish and all.
template <class T, int MOST, class Inner, class Finish>
ALWAYS void product_blocks(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, Inner inner,
                           Finish finish) {
    const int64_t blocks = (vectors + MOST - 1) / MOST;
    for (int64_t block = 0, first = 0; block < blocks; ++block) {
        const int64_t width = (vectors - first + blocks - block - 1) / (blocks - block);
        if (width == 1) product_columns<T, 1>(rows, first, a, b, ldb, inner, finish);
        if constexpr (MOST >= 2)
            if (width == 2) product_columns<T, 2>(rows, first, a, b, ldb, inner, finish);
        if constexpr (MOST >= 3)
            if (width == 3) product_columns<T, 3>(rows, first, a, b, ldb, inner, finish);
        if constexpr (MOST >= 4)
            if (width == 4) product_columns<T, 4>(rows, first, a, b, ldb, inner, finish);
        if constexpr (MOST >= 5)
            if (width == 5) product_columns<T, 5>(rows, first, a, b, ldb, inner, finish);
        first += width;
    }
}

constexpr int WIDEST = FLOSS_ACCUMULATORS >= 20 ? 5 : 3;
template <class T>
constexpr int PANEL = LANES<T> > 16 ? LANES<T> : 16;  // columns of a Gram-Schmidt panel
template <class T>
constexpr int NARROW = std::min(PANEL<T> / LANES<T>, WIDEST);  // width of tiles along a triangle

template <class T, class Finish>
ALWAYS void product(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                    Finish finish) {
    product_blocks<T, WIDEST>(
        rows, vectors, a, b, ldb, [count](int64_t, int, int64_t, int) { return Span{0, count}; }, finish);
}

// The same in tiles of exactly V vectors, for finishes that need these together.
template <class T, int V, class Finish>
ALWAYS void product_groups(int64_t rows, int64_t groups, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                           Finish finish) {
    const auto inner = [count](int64_t, int, int64_t, int) { return Span{0, count}; };
    for (int64_t group = 0; group < groups; ++group)
        product_columns<T, V>(rows, group * V, a, b, ldb, inner, finish);
}

// The same where b is upper (l ≤ column) or lower triangular (l ≥ column).
template <class T, class Finish>
ALWAYS void product_upper(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                          Finish finish) {
    const auto inner = [count](int64_t, int, int64_t first, int width) {
        return Span{0, std::min<int64_t>(count, (first + width) * LANES<T>)};
    };
    product_blocks<T, NARROW<T>>(rows, vectors, a, b, ldb, inner, finish);
}
template <class T, class Finish>
ALWAYS void product_lower(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                          Finish finish) {
    const auto inner = [count](int64_t, int, int64_t first, int) { return Span{first * LANES<T>, count}; };
    product_blocks<T, NARROW<T>>(rows, vectors, a, b, ldb, inner, finish);
}

// Finishes: what becomes of a tile.
template <class T>
ALWAYS auto storing(T* out, ptrdiff_t ld) {
    return [out, ld](int64_t i, int64_t first, auto& acc) {
        T* at = out + i * ld + first * LANES<T>;
        for (auto& x : acc) store(at, x), at += LANES<T>;
    };
}
template <class T, int SIGN = 1>
ALWAYS auto adding(T* out, ptrdiff_t ld) {
    return [out, ld](int64_t i, int64_t first, auto& acc) {
        T* at = out + i * ld + first * LANES<T>;
        for (auto& x : acc) store(at, SIGN > 0 ? load(at) + x : load(at) - x), at += LANES<T>;
    };
}

}  // namespace
