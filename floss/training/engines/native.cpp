// The two hot loops of vanilla (tanh) ensembles on CPUs: task training and flossing, whole epochs at a time.
//
// Networks outside, time inside. One thread takes one network through all epochs of a call, so that its weights, its rates
// and its adjoints stay in that core's cache, and so that the bits of a network do not depend on how many networks or
// threads there are. Nothing is shared between networks but a counter from which threads draw the next one.
//
// Every product goes through one register-blocked kernel (`product`): a tile of R rows by V vectors of the result lives
// in registers while it runs over the inner index l,
//
//     C[i][:] = Σ_l a(i, l) b[l][:]
//
// with `a` read number by number, through any two strides (so a transposed matrix costs nothing), and `b` vector by vector.
// What is done with a finished tile (tanh, φ', masks, storing) is the caller's, and happens while it is in registers.
// A number of the result is one sum in the order of l, whatever the tiles are: tiles change no bits.
//
// Layout. Rows are padded with zeros to whole vectors: Np numbers for N units, Kp for k tangent vectors. Zeros stay zeros:
// φ(0) = 0. "[l][Np]" below is a row-major array of such rows.
//
//     z     [T B][Np]   rates r[s] = φ(h[s]) of each step and batch slot: all that backpropagation needs
//     delta [C B][Np]   adjoints δ[s+1] of the last few steps, until they meet the rates in W̄ (C steps stay in the cache)
//     P     [T_f + 1][N][Kp]  tangent vectors, one per column, before each step and after the last
//     X     [T_f][k][Kp]      R^{-T} of each QR decomposition, lower triangular
//
// QR decompositions are modified block Gram-Schmidt in panels of 16 columns, in double precision. Done once, ‖QᵀQ - I‖ is
// about ε κ, far below the rounding of single precision; for networks in double precision every projection is done twice,
// which keeps it at rounding level for every κ < 1/ε (Barlow & Smoktunowicz 2013). Their adjoint is the reduced one of
// floss/reduced_adjoint.py.
//
// Vectors are the compiler's own (GCC, Clang): 64, 32 or 16 bytes by FLOSS_VECTOR_BYTES, which the build sets together
// with the machine's instruction set; no intrinsics but the two that switch off denormal numbers.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <type_traits>
#include <vector>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#ifndef FLOSS_VECTOR_BYTES
#define FLOSS_VECTOR_BYTES 16
#endif
#ifndef FLOSS_ACCUMULATORS  // vector registers that a tile may fill: all but those for b and for one number of a
#define FLOSS_ACCUMULATORS 12
#endif

namespace {

using std::int64_t;
using std::ptrdiff_t;

// ---- vectors ----------------------------------------------------------------------------------------------------------

template <class T>
struct Vectors;
template <>
struct Vectors<float> {
    typedef float vec __attribute__((vector_size(FLOSS_VECTOR_BYTES)));
    typedef std::int32_t bits __attribute__((vector_size(FLOSS_VECTOR_BYTES)));
};
template <>
struct Vectors<double> {
    typedef double vec __attribute__((vector_size(FLOSS_VECTOR_BYTES)));
    typedef std::int64_t bits __attribute__((vector_size(FLOSS_VECTOR_BYTES)));
};
template <class T>
using Vec = typename Vectors<T>::vec;
template <class T>
using Bits = typename Vectors<T>::bits;
template <class T>
constexpr int LANES = FLOSS_VECTOR_BYTES / int(sizeof(T));

#define ALWAYS inline __attribute__((always_inline))

template <class T>
ALWAYS Vec<T> load(const T* at) {
    return *reinterpret_cast<const Vec<T>*>(at);
}
template <class T>
ALWAYS void store(T* at, Vec<T> x) {
    *reinterpret_cast<Vec<T>*>(at) = x;
}

template <class T>
ALWAYS T sum(Vec<T> x) {  // in halves: the same order on every machine with vectors of this length
    T a[LANES<T>];
    std::memcpy(a, &x, sizeof a);
    for (int half = LANES<T> / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) a[i] += a[i + half];
    return a[0];
}

// tanh(x) = m / (m + 2) with m = exp(2|x|) - 1, right to about two units in the last place for every x, small ones too.
// exp(y) - 1 = 2^n (exp(r) - 1) + (2^n - 1) with y = n log 2 + r, |r| ≤ log(2) / 2, and a Taylor polynomial for exp(r) - 1.
template <class T>
ALWAYS Vec<T> tanh_of(Vec<T> x) {
    using V = Vec<T>;
    using I = Bits<T>;
    constexpr bool single = std::is_same_v<T, float>;
    constexpr T cap = single ? T(9.1) : T(19.2);                                // beyond it tanh rounds to ±1
    constexpr T round = single ? T(12582912.0) : T(6755399441055744.0);         // adding 1.5 · 2^23 (2^52) rounds
    constexpr T high = single ? T(0.693359375) : T(6.93147180369123816490e-1);  // log 2 in two parts
    constexpr T low = single ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
    constexpr int mantissa = single ? 23 : 52;
    constexpr int degree = single ? 7 : 14;
    constexpr T inverse_factorial[] = {1.,
                                       1.,
                                       1. / 2,
                                       1. / 6,
                                       1. / 24,
                                       1. / 120,
                                       1. / 720,
                                       1. / 5040,
                                       1. / 40320,
                                       1. / 362880,
                                       1. / 3628800,
                                       1. / 39916800,
                                       1. / 479001600,
                                       1. / 6227020800.,
                                       1. / 87178291200.};
    using Integer = std::conditional_t<single, std::int32_t, std::int64_t>;
    const I sign = I(x) & (I{} + std::numeric_limits<Integer>::min());
    V a = V(I(x) ^ sign);
    a = a > cap ? V{} + cap : a;  // NaN stays NaN
    const V y = a + a;
    const V shifted = y * T(1.4426950408889634) + round;
    const V n = shifted - round;
    V r = y - n * high;
    r = r - n * low;
    V p = V{} + inverse_factorial[degree];
    for (int i = degree - 1; i >= 2; --i) p = p * r + inverse_factorial[i];
    p = p * (r * r) + r;
    const V power = V((I(shifted) << mantissa) + I(V{} + T(1)));  // 2^n: n is in the low bits of `shifted`
    const V m = p * power + (power - T(1));
    return V(I(m / (m + T(2))) | sign);
}

// ---- the kernel -------------------------------------------------------------------------------------------------------

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
    return vectors == 1 ? (most >= 16 ? 16 : 8) : most / vectors >= 8 ? 8 : most / vectors >= 4 ? 4 : 1;
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

// ---- memory, threads, random numbers ----------------------------------------------------------------------------------

template <class T>
int64_t padded(int64_t n) {
    return (n + LANES<T> - 1) / LANES<T> * LANES<T>;
}

// Arrays out of one block of memory, each on a cache line of its own. Without a block it only counts.
struct Arena {
    char* at;
    int64_t used = 0;
    template <class T>
    T* take(int64_t count) {
        char* here = at ? at + used : nullptr;
        used += (count * int64_t(sizeof(T)) + 127) / 64 * 64;
        return reinterpret_cast<T*>(here);
    }
};

// Vanishing adjoints end as denormal numbers, which cost some machines a hundred cycles each.
struct NoDenormals {
#if defined(__SSE__)
    unsigned before = _mm_getcsr();
    NoDenormals() { _mm_setcsr(before | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before); }
#endif
};

template <class Work>
void in_threads(int64_t networks, int64_t threads, Work work) {
    std::atomic<int64_t> next{0};
    const auto worker = [&](int64_t thread) {
        NoDenormals guard;
        for (int64_t i; (i = next++) < networks;) work(thread, i);
    };
    std::vector<std::thread> others;
    for (int64_t t = 1; t < std::min(threads, networks); ++t) others.emplace_back(worker, t);
    worker(0);
    for (auto& other : others) other.join();
}

// Philox4x32-10 as in floss/random.py: counter words (block, epoch, stream, 0), key words the halves of the seed.
struct Philox {
    std::uint64_t seed;
    std::uint32_t stream, epoch;
    void block(std::uint32_t index, std::uint32_t* out) const {
        std::uint32_t c0 = index, c1 = epoch, c2 = stream, c3 = 0;
        std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t p0 = std::uint64_t(c0) * 0xD2511F53u, p1 = std::uint64_t(c2) * 0xCD9E8D57u;
            c0 = std::uint32_t(p1 >> 32) ^ c1 ^ k0, c1 = std::uint32_t(p1);
            c2 = std::uint32_t(p0 >> 32) ^ c3 ^ k1, c3 = std::uint32_t(p0);
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
    }
    template <class T>
    void bits(T* out, int64_t count) const {
        std::uint32_t words[4];
        for (int64_t i = 0; i < count; i += 32) {
            if (i % 128 == 0) block(std::uint32_t(i / 128), words);
            const std::uint32_t word = words[i / 32 % 4];
            const int many = int(std::min<int64_t>(32, count - i));
            for (int j = 0; j < many; ++j) out[i + j] = T((word >> j) & 1u);
        }
    }
    template <class T>
    void uniform(T* out, int64_t count) const {
        std::uint32_t words[4];
        for (int64_t i = 0; i < count; ++i) {
            if (i % 4 == 0) block(std::uint32_t(i / 4), words);
            out[i] = T(words[i % 4] >> 8) * T(1.0 / 16777216);
        }
    }
};

// ---- optimizer --------------------------------------------------------------------------------------------------------

// One step of Adam for one tensor of one network, as floss/adam.py has it.
template <class T>
void adam_step(T* __restrict p, const T* __restrict g, T* __restrict mean, T* __restrict square, int64_t count, T scale,
               double lr, int64_t step) {
    const T rate = T(lr / (1.0 - std::pow(0.9, double(step))));
    const T correction = T(1.0 / std::sqrt(1.0 - std::pow(0.999, double(step))));
    for (int64_t i = 0; i < count; ++i) {
        const T gradient = g[i] * scale;
        mean[i] += T(0.1) * (gradient - mean[i]);
        square[i] = square[i] * T(0.999) + gradient * gradient * T(0.001);
        p[i] -= mean[i] / (std::sqrt(square[i]) * correction + T(1e-8)) * rate;
    }
}

// 2-norm of a tensor; finite unless a number of it is not. Squares overflow long before the numbers do, hence the retry.
template <class T>
T norm_of(const T* g, int64_t count) {
    constexpr int lanes = 16;
    const auto squares = [&](T unit) {
        T part[lanes] = {};
        int64_t i = 0;
        for (; i + lanes <= count; i += lanes)
            for (int j = 0; j < lanes; ++j) part[j] += (g[i + j] * unit) * (g[i + j] * unit);
        for (; i < count; ++i) part[i % lanes] += (g[i] * unit) * (g[i] * unit);
        T total = 0;
        for (T x : part) total += x;
        return total;
    };
    const T plain = squares(T(1));
    if (std::isfinite(plain)) return std::sqrt(plain);
    T largest = 0;
    for (int64_t i = 0; i < count; ++i) {
        if (!std::isfinite(g[i])) return plain - plain;  // NaN
        largest = std::max(largest, std::abs(g[i]));
    }
    return largest * std::sqrt(squares(T(1) / largest));
}

// ---- training on a task -----------------------------------------------------------------------------------------------

enum Task : int64_t { XOR = 0, COPY = 1, SPATIAL_XOR = 2 };
enum Mode : int64_t { GRADIENT = 0, TRAIN = 1, EVALUATE = 2 };
constexpr int TENSORS = 6;  // W [N, N], V [N, S], b [N], U [N], c [], h0 [B, N]

}  // namespace

// What Python hands over; arrays have the leading axis R. Its twin is floss/engines/operators.py.
struct TrainCall {
    int64_t networks, n, inputs, batch, steps, threads, mode, task, uniform, binary, stream, first_epoch, epochs;
    double lr, clip;
    void* parameters[TENSORS];
    void* mean[TENSORS];
    void* square[TENSORS];
    void* gradient[TENSORS];
    int64_t* adam_steps;    // [R]
    const int64_t* seeds;   // [R]
    const int64_t* delays;  // [R]
    int64_t* diverged_at;   // [R], -1 while finite
    const void* x;          // [R, T, B, S] for GRADIENT
    double* loss;           // [R], of the last epoch
    double* accuracy;       // [R]
    void* workspace;
    int64_t workspace_bytes;  // per thread
};

struct FlossCall {
    int64_t networks, n, inputs, batch, steps, columns, threads, mode, uniform, stream, epochs;
    double lr;
    void* parameters[TENSORS];
    void* mean[3];
    void* square[3];
    void* gradient[3];
    int64_t* adam_steps;   // [all], as are parameters, mean and square; what follows belongs to the networks `index`
    const int64_t* index;  // [R] rows of the ensemble
    const int64_t* seeds;  // [R]
    const int64_t* first_life;    // [R] first epoch of this call in each network's life
    const int64_t* k;             // [R]
    const double* target;         // [R]
    std::int8_t* diverged;        // [R] set to 1 where a network stops being finite; such networks are passed over
    const std::int8_t* interval;  // [T_f]: 0 within an interval, 1 at the end of one, 2 at the end of one that counts
    const void* q0;               // [R, N, columns]
    const void* x;                // [R, T_f, S] for GRADIENT
    double* loss;                 // [R]
    double* exponents;            // [R, columns], unsorted; beyond k untouched
    void* workspace;
    int64_t workspace_bytes;
};

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
    // False where the loss is not finite.
    bool judge(int64_t d, double* loss, double* accuracy) {
        const int64_t total = steps * B, first = d * B, count = total - first;
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
        const int64_t d = call.delays[network], numbers = steps * B * S;
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
            const bool finite = judge(d, wanted ? &loss : nullptr, wanted ? &accuracy : nullptr);
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

// ---- flossing ---------------------------------------------------------------------------------------------------------

// QR decomposition of tangent vectors and the inverse of its triangular factor.
template <class T>
struct Orthonormaliser {
    static constexpr int P = PANEL<T>;
    const int64_t N, most;  // rows; columns at most, padded
    const bool twice;       // project twice
    int64_t k, Kp;
    T *R, *first, *second, *projected;

    Orthonormaliser(int64_t N, int64_t columns, bool twice, Arena& arena)
        : N(N), most(padded<T>(columns)), twice(twice) {
        R = arena.take<T>(most * most);
        first = arena.take<T>(P * P), second = arena.take<T>(P * P);
        projected = arena.take<T>(std::max<int64_t>(most, P) * P);
    }

    void size(int64_t columns) { k = columns, Kp = padded<T>(columns); }

    // Modified Gram-Schmidt within `width` columns of q [N][Kp], in place; their triangular factor into t [P][P].
    // A column that is exactly zero stays zero. One sweep over the rows takes column j out of the later ones and, while a
    // row is at hand, meets it with the next column. Four sums side by side, for one alone would wait for each addition.
    template <int V>
    void panel(T* q, int width, T* t) const {
        constexpr int ROWS = 4;
        std::fill_n(t, P * P, T(0));
        Vec<T> dots[ROWS][V] = {}, along[V] = {}, keep[V];
        for (auto& x : keep) x = Vec<T>{} + T(1);
        for (int j = -1; j < width; ++j) {  // the sweep before column 0 only meets
            if (j >= 0) {
                alignas(64) T row[V * LANES<T>], taken[V * LANES<T>], scale[V * LANES<T>];
                for (int v = 0; v < V; ++v) {
                    store(row + v * LANES<T>, (dots[0][v] + dots[1][v]) + (dots[2][v] + dots[3][v]));
                    for (int r = 0; r < ROWS; ++r) dots[r][v] = Vec<T>{};
                }
                const T length = std::sqrt(row[j]), inverse = length == T(0) ? T(0) : T(1) / length;
                for (int c = 0; c < V * LANES<T>; ++c) {
                    const T dot = c > j ? row[c] * inverse : T(0);
                    t[j * P + c] = c == j ? length : dot;
                    taken[c] = dot * inverse;
                    scale[c] = c == j ? inverse : T(1);
                }
                for (int v = 0; v < V; ++v) along[v] = load(taken + v * LANES<T>), keep[v] = load(scale + v * LANES<T>);
            }
            const int own = std::max(j, 0), following = std::min(j + 1, width - 1);
            const auto sweep = [&](T* at, int r) {
                const T mine = at[own];
                for (int v = 0; v < V; ++v)
                    store(at + v * LANES<T>, load(at + v * LANES<T>) * keep[v] - along[v] * mine);
                const T other = at[following];
                for (int v = 0; v < V; ++v) dots[r][v] += load(at + v * LANES<T>) * other;
            };
            int64_t i = 0;
            for (; i + ROWS <= N; i += ROWS)
                for (int r = 0; r < ROWS; ++r) sweep(q + (i + r) * Kp, r);
            for (; i < N; ++i) sweep(q + i * Kp, 0);
        }
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

    // q [N][Kp] = Q R in place; X = R^{-T} [k][Kp]; R_jj into `diagonal`.
    void decompose(T* q, T* X, T* diagonal) {
        std::fill_n(R, Kp * Kp, T(0));
        for (int64_t p = 0; p < k; p += P) {
            const int width = int(std::min<int64_t>(P, k - p));
            const int64_t own = std::min<int64_t>(P, Kp - p) / LANES<T>, later = (Kp - p) / LANES<T> - own;
            panel(q + p, own, width, first);
            if (twice) {  // R_{<p,p} = S₁ + S₂ T₁ and R_pp = T₂ T₁
                if (p) {
                    product<T>(p, own, {q, 1, Kp}, q + p, Kp, N, storing(projected, P));
                    product<T>(N, own, {q, Kp, 1}, projected, P, p, adding<T, -1>(q + p, Kp));
                    product<T>(p, own, {projected, P, 1}, first, P, width, adding(R + p, Kp));
                }
                panel(q + p, own, width, second);
                product<T>(width, own, {second, P, 1}, first, P, width, storing(R + p * Kp + p, Kp));
            } else {
                for (int i = 0; i < width; ++i) std::copy_n(first + i * P, own * LANES<T>, R + (p + i) * Kp + p);
            }
            for (int j = 0; j < width; ++j) diagonal[p + j] = R[(p + j) * Kp + p + j];
            if (later) {
                product<T>(width, later, {q + p, 1, Kp}, q + p + P, Kp, N, storing(R + p * Kp + p + P, Kp));
                product<T>(N, later, {q + p, Kp, 1}, R + p * Kp + p + P, Kp, width, adding<T, -1>(q + p + P, Kp));
            }
            invert(p, width, own, X);
        }
    }

    // Rows p … p + width of X = R^{-T}: X_pp = (R_ppᵀ)^{-1}, X_{p,<p} = -X_pp (R_{<p,p})ᵀ X_{<p,<p}.
    void invert(int64_t p, int width, int64_t own, T* X) {
        T* const corner = second;  // X_pp [P][P]
        std::fill_n(corner, P * P, T(0));
        for (int i = 0; i < width; ++i) {
            const T* column = R + p * Kp + p + i;
            const T pivot = column[i * Kp];
            const T inverse = pivot > std::numeric_limits<T>::min() ? T(1) / pivot : T(0);
            corner[i * P + i] = T(1);
            for (int l = 0; l < i; ++l)
                for (int c = 0; c <= l; ++c) corner[i * P + c] -= column[l * Kp] * corner[l * P + c];
            for (int c = 0; c <= i; ++c) corner[i * P + c] *= inverse;
        }
        for (int i = 0; i < width; ++i) {
            std::fill_n(X + (p + i) * Kp, Kp, T(0));
            std::copy_n(corner + i * P, own * LANES<T>, X + (p + i) * Kp + p);
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

// Forwards in double precision whatever T is, for rounding there is amplified: in single precision one gradient in eight
// would be wrong by more than 1e-3, some by 1e-2. Backwards in T.
template <class T>
struct Flosser {
    using D = double;
    const FlossCall& call;
    const int64_t N, S, steps, Np, Nd, most;  // Nd: N padded for D; most: columns at most, padded
    int64_t sizes[TENSORS];
    Orthonormaliser<D> qr;
    D *W_d, *Wt, *Ws, *Vt, *b, *h, *ahead, *now, *next, *inverse_d, *R;  // forwards
    T *P, *X, *rates, *x;                                                // kept for the way back
    T *W, *gp, *other, *mix, *Pt, *gW, *gV, *gb, *gh, *pulled, *rowsum, *g;
    T* gradient[3];
    int64_t k, Kp, Kd, vectors;  // of the network at hand, padded for T and for D; vectors of Kp

    Flosser(const FlossCall& call, Arena& arena)
        : call(call),
          N(call.n),
          S(call.inputs),
          steps(call.steps),
          Np(padded<T>(N)),
          Nd(padded<D>(N)),
          most(padded<T>(call.columns)),
          sizes{N * N, N * S, N, 0, 0, 0},
          qr(N, call.columns, std::is_same_v<T, D>, arena) {
        W_d = arena.take<D>(N * Nd), Wt = arena.take<D>(N * Nd), Ws = arena.take<D>(N * Nd), Vt = arena.take<D>(S * Nd);
        b = arena.take<D>(Nd), h = arena.take<D>(Nd), ahead = arena.take<D>(Nd), R = arena.take<D>(steps * most);
        now = arena.take<D>(N * most), next = arena.take<D>(N * most), inverse_d = arena.take<D>(call.columns * most);
        P = arena.take<T>((steps + 1) * N * most), X = arena.take<T>(steps * call.columns * most);
        rates = arena.take<T>(steps * Np), x = arena.take<T>(steps * S);
        W = arena.take<T>(N * Np), gW = arena.take<T>(N * Np), gV = arena.take<T>(S * Np), gb = arena.take<T>(Np);
        gh = arena.take<T>(Np), pulled = arena.take<T>(Np), rowsum = arena.take<T>(N * LANES<T>);
        gp = arena.take<T>(N * most), other = arena.take<T>(N * most), mix = arena.take<T>(most * most);
        Pt = arena.take<T>(most * Np), g = arena.take<T>(most);
        for (int i = 0; i < 3; ++i) gradient[i] = arena.take<T>(sizes[i]);
    }

    T* tangent(int64_t s) const { return P + s * N * Kp; }
    T* inverse(int64_t s) const { return X + (s - 1) * k * Kp; }  // R^{-T} of the decomposition that ends step s

    // Rows of tangent vectors or of an inverse, from one precision and padding to the other.
    template <class From, class To>
    void copy_rows(const From* from, int64_t ld, int64_t rows, To* to, int64_t ld_to) const {
        for (int64_t i = 0; i < rows; ++i, from += ld, to += ld_to) {
            for (int64_t j = 0; j < k; ++j) to[j] = To(from[j]);
            std::fill(to + k, to + ld_to, To(0));
        }
    }

    void pack(T* const (&p)[3], const T* h0, const T* q0) {
        std::fill_n(W, N * Np, T(0)), std::fill_n(W_d, N * Nd, 0.), std::fill_n(Wt, N * Nd, 0.);
        std::fill_n(Vt, S * Nd, 0.), std::fill_n(b, Nd, 0.), std::fill_n(h, Nd, 0.),
            std::fill_n(rates, steps * Np, T(0));
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < N; ++j)
                W[i * Np + j] = p[0][i * N + j], W_d[i * Nd + j] = Wt[j * Nd + i] = p[0][i * N + j];
            for (int64_t j = 0; j < S; ++j) Vt[j * Nd + i] = D(p[1][i * S + j]) / D(S);
            b[i] = p[2][i], h[i] = h0[i];
        }
        copy_rows(q0, call.columns, N, now, Kd);
        copy_rows(q0, call.columns, N, P, Kp);
    }

    // The chain of decompositions. Returns the first lost direction, k where there is none.
    int64_t forward() {
        int64_t responding = k;  // D has at most as many directions as units with φ' ≠ 0
        for (int64_t s = 0; s < steps; ++s) {
            T* const kept = rates + s * Np;
            int64_t slopes = 0;
            for (int64_t v = 0; v < Nd; v += LANES<D>) store(h + v, tanh_of<D>(load(h + v)));  // now the rate
            for (int64_t i = 0; i < N; ++i) kept[i] = T(h[i]), slopes += T(1) - kept[i] * kept[i] != T(0);
            responding = std::min(responding, slopes);
            for (int64_t i = 0; i < N; ++i)
                for (int64_t v = 0; v < Nd; v += LANES<D>) {
                    const Vec<D> rate = load(h + v);
                    store(Ws + i * Nd + v, load(W_d + i * Nd + v) * (1. - rate * rate));
                }
            product<D>(N, Kd / LANES<D>, {Ws, Nd, 1}, now, Kd, N, storing(next, Kd));
            product<D>(1, Nd / LANES<D>, {h, Nd, 1}, Wt, Nd, N, [&](int64_t, int64_t first, auto& acc) {
                int64_t at = first * LANES<D>;
                for (auto& state : acc) {
                    state += load(b + at);
                    for (int64_t i = 0; i < S; ++i) state += load(Vt + i * Nd + at) * D(x[s * S + i]);
                    store(ahead + at, state);
                    at += LANES<D>;
                }
            });
            std::swap(h, ahead);
            if (call.interval[s]) {
                D* const diagonal = R + s * most;
                qr.decompose(next, inverse_d, diagonal);
                copy_rows(inverse_d, Kd, k, inverse(s + 1), Kp);
                // Below the bounds of floss/orthonormalisation.py, R_jj may be rounding noise in T.
                constexpr D noise = std::numeric_limits<T>::epsilon();
                const D bound = *std::max_element(diagonal, diagonal + k) *
                                (std::is_same_v<T, float> ? std::sqrt(D(N)) : D(32 * N)) * noise;
                for (int64_t j = 0; j < responding; ++j)
                    if (diagonal[j] <= bound) responding = j;
            }
            copy_rows(next, Kd, N, tangent(s + 1), Kp);
            std::swap(now, next);
        }
        return responding;
    }

    // Σ log R_jj over the counted intervals: as products, for a logarithm costs as much as eighty of them.
    double growth(int64_t j) const {
        double total = 0, product = 1;
        for (int64_t s = 0; s < steps; ++s) {
            if (call.interval[s] != 2) continue;
            const double r = R[s * most + j];
            if (r > 1e-100 && r < 1e100)
                product *= r;
            else
                total += std::log(r);
            if (!(product > 1e-200 && product < 1e200)) total += std::log(product), product = 1;
        }
        return total + std::log(product);
    }

    // The reduced adjoint: g[j] = ∂loss / ∂(Σ log R_jj).
    void backward() {
        std::fill_n(gW, N * Np, T(0)), std::fill_n(gV, S * Np, T(0)), std::fill_n(gb, Np, T(0)),
            std::fill_n(gh, Np, T(0));
        std::fill_n(gp, N * Kp, T(0)), std::fill_n(mix, Kp * Kp, T(0)), std::fill_n(Pt, most * Np, T(0));
        bool first = true, next_counts = false;
        for (int64_t s = steps; s > 0; --s) {
            if (call.interval[s - 1]) {
                const T* q = tangent(s);
                const bool counts = call.interval[s - 1] == 2;
                // Q̄ ← [Q̄ + Q (diag(g_j - g_{j+1}) - striu(Qᵀ Q̄))] R^{-T}
                const auto above = [this](int64_t i, int, int64_t v, int width) {
                    return Span{0, (v + width) * LANES<T> > i ? N : 0};
                };
                const T scale = T(int(counts) - int(next_counts));
                const auto masked = [&](int64_t i, int64_t v, auto& acc) {
                    T* at = mix + i * Kp + v * LANES<T>;
                    for (auto& x : acc) store(at, -x), at += LANES<T>;
                    T* const row = mix + i * Kp;
                    const int64_t begin = v * LANES<T>, end = begin + int64_t(sizeof acc) / int64_t(sizeof(T));
                    for (int64_t j = begin; j < std::min(i, end); ++j) row[j] = T(0);
                    if (begin <= i && i < end) row[i] = g[i] * scale;
                };
                if (!first) {
                    product_blocks<T, NARROW<T>>(k, vectors, Strided<T>{q, 1, Kp}, gp, Kp, above, masked);
                } else {
                    for (int64_t j = 0; j < k; ++j) mix[j * Kp + j] = g[j] * scale;
                }
                product_upper<T>(N, vectors, {q, Kp, 1}, mix, Kp, k, adding(gp, Kp));
                product_lower<T>(N, vectors, {gp, Kp, 1}, inverse(s), Kp, k, storing(other, Kp));
                std::swap(gp, other);
                first = false, next_counts = counts;
            }
            const T *r = rates + (s - 1) * Np, *p = tangent(s - 1), *input = x + (s - 1) * S;
            // W̄ += Z̄ (φ' ∘ P)ᵀ: the only product over columns, hence the transpose
            for (int64_t i = 0; i < N; ++i) {
                const T slope = T(1) - r[i] * r[i];
                for (int64_t j = 0; j < k; ++j) Pt[j * Np + i] = slope * p[i * Kp + j];
            }
            product<T>(N, Np / LANES<T>, {gp, Kp, 1}, Pt, Np, k, adding(gW, Np));
            // P̄ = φ' ∘ Wᵀ Z̄
            product<T>(N, vectors, {W, 1, Np}, gp, Kp, N, [&](int64_t i, int64_t v, auto& acc) {
                const T slope = T(1) - r[i] * r[i];
                int64_t at = i * Kp + v * LANES<T>;
                Vec<T> total = {};
                for (auto& x : acc) {
                    const Vec<T> pulled = x * slope;
                    store(other + at, pulled);
                    total += pulled * load(p + at);
                    at += LANES<T>;
                }
                T* const sums = rowsum + i * LANES<T>;
                store(sums, v ? load(sums) + total : total);
            });
            std::swap(gp, other);
            // h[s] = W r[s-1] + V x[s] / S + b, and φ''/φ' = -2 r
            for (int64_t i = 0; i < N; ++i)
                for (int64_t v = 0; v < Np; v += LANES<T>)
                    store(gW + i * Np + v, load(gW + i * Np + v) + load(r + v) * gh[i]);
            for (int64_t v = 0; v < Np; v += LANES<T>) {
                store(gb + v, load(gb + v) + load(gh + v));
                for (int64_t i = 0; i < S; ++i) store(gV + i * Np + v, load(gV + i * Np + v) + load(gh + v) * input[i]);
            }
            product<T>(1, Np / LANES<T>, {gh, Np, 1}, W, Np, N, storing(pulled, Np));
            for (int64_t i = 0; i < N; ++i)
                gh[i] = (T(1) - r[i] * r[i]) * pulled[i] - T(2) * r[i] * sum<T>(load(rowsum + i * LANES<T>));
        }
        for (int64_t i = 0; i < N; ++i) {
            std::copy_n(gW + i * Np, N, gradient[0] + i * N);
            for (int64_t j = 0; j < S; ++j) gradient[1][i * S + j] = gV[j * Np + i] / T(S);
            gradient[2][i] = gb[i];
        }
    }

    void run(int64_t i) {
        if (call.mode == TRAIN && call.diverged[i]) return;
        const int64_t network = call.index[i];
        T* p[3];
        for (int t = 0; t < 3; ++t) p[t] = static_cast<T*>(call.parameters[t]) + network * sizes[t];
        const T* const h0 = static_cast<const T*>(call.parameters[5]) + network * call.batch * N;
        k = call.k[i], Kp = padded<T>(k), Kd = padded<D>(k), vectors = Kp / LANES<T>;
        qr.size(k);
        int64_t counted = 0;
        for (int64_t s = 0, since = 0; s < steps; ++s) {  // steps that count: those of the intervals that do
            ++since;
            if (call.interval[s] == 2) counted += since;
            if (call.interval[s]) since = 0;
        }
        double* const exponents = call.exponents + i * call.columns;
        for (int64_t epoch = 0; epoch < call.epochs; ++epoch) {
            if (call.mode == GRADIENT) {
                std::copy_n(static_cast<const T*>(call.x) + i * steps * S, steps * S, x);
            } else {
                const Philox random{std::uint64_t(call.seeds[i]), std::uint32_t(call.stream),
                                    std::uint32_t(call.first_life[i] + epoch)};
                call.uniform ? random.uniform(x, steps * S) : random.bits(x, steps * S);
            }
            pack(p, h0, static_cast<const T*>(call.q0) + i * N * call.columns);
            const int64_t kept = forward();
            bool sound = true;
            for (int64_t j = 0; j < N; ++j) sound = sound && std::isfinite(h[j]);
            double loss = 0;
            for (int64_t j = 0; j < k; ++j) {
                exponents[j] = !sound ? NAN : j < kept ? growth(j) / double(counted) : -INFINITY;
                const double error = exponents[j] - call.target[i];
                const bool lost = sound && j >= kept;
                if (!lost) loss += error * error / double(k);
                g[j] = lost ? T(0) : T(2 * error / double(k) / double(counted));
            }
            call.loss[i] = loss;
            sound = sound && std::isfinite(loss);
            if (sound || call.mode == GRADIENT) backward();
            if (call.mode == GRADIENT) {
                for (int t = 0; t < 3; ++t)
                    std::copy_n(gradient[t], sizes[t], static_cast<T*>(call.gradient[t]) + i * sizes[t]);
                return;
            }
            for (int t = 0; t < 3 && sound; ++t) sound = !std::isnan(norm_of(gradient[t], sizes[t]));
            if (!sound) {
                call.diverged[i] = 1;
                return;
            }
            const int64_t step = ++call.adam_steps[network];
            for (int t = 0; t < 3; ++t)
                adam_step(p[t], gradient[t], static_cast<T*>(call.mean[t]) + network * sizes[t],
                          static_cast<T*>(call.square[t]) + network * sizes[t], sizes[t], T(1), call.lr, step);
        }
    }
};

template <template <class> class Loop, class T, class Call>
int64_t workspace_of(const Call& call) {
    Arena counting{nullptr};
    Loop<T> loop(call, counting);
    return counting.used;
}

template <template <class> class Loop, class T, class Call>
void run(const Call& call) {
    in_threads(call.networks, call.threads, [&](int64_t thread, int64_t network) {
        Arena arena{static_cast<char*>(call.workspace) + thread * call.workspace_bytes};
        Loop<T> loop(call, arena);
        loop.run(network);
    });
}

}  // namespace

extern "C" {
// Bytes of workspace that one thread needs.
std::int64_t floss_train_workspace(const TrainCall* call, std::int64_t single) {
    return single ? workspace_of<Trainer, float>(*call) : workspace_of<Trainer, double>(*call);
}
std::int64_t floss_floss_workspace(const FlossCall* call, std::int64_t single) {
    return single ? workspace_of<Flosser, float>(*call) : workspace_of<Flosser, double>(*call);
}
void floss_train(const TrainCall* call, std::int64_t single) {
    single ? run<Trainer, float>(*call) : run<Trainer, double>(*call);
}
void floss_floss(const FlossCall* call, std::int64_t single) {
    single ? run<Flosser, float>(*call) : run<Flosser, double>(*call);
}
std::int64_t floss_vector_bytes() { return FLOSS_VECTOR_BYTES; }
}
