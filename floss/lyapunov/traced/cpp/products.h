// Products of what the text of a recorded step calls. Matrices are column-major.
//
// Those of constant weights, and those within QR decompositions, go through one register-blocked kernel; others through the
// BLAS that torch uses, at the addresses f (floss/lyapunov/blas.py).
#include <cmath>
#include <cstring>
#include <type_traits>

#ifndef FLOSS_VECTOR_BYTES
#define FLOSS_VECTOR_BYTES 16
#endif
#ifndef FLOSS_ACCUMULATORS  // vector registers that a tile may fill: all but those for the factors
#define FLOSS_ACCUMULATORS 12
#endif

namespace {

template <class T>
using Vec __attribute__((vector_size(FLOSS_VECTOR_BYTES), aligned(alignof(T)), may_alias)) = T;
template <class T>
constexpr int LANES = FLOSS_VECTOR_BYTES / sizeof(T);
template <class T>
constexpr int ROWS = 2 * LANES<T>;  // of a tile
constexpr int COLUMNS = FLOSS_ACCUMULATORS / 2;

// A matrix of weights a [m x k] as `product` reads it: panels of ROWS rows, each column by column, the last one filled up
// with zeros.
template <class T>
void pack(const T* a, int m, int k, long down, long right, T* out) {
    for (int i = 0; i < m; i += ROWS<T>)
        for (int l = 0; l < k; l++)
            for (int r = i; r < i + ROWS<T>; r++) *out++ = r < m ? a[r * down + l * right] : T(0);
}

// One tile of a product, V vectors of rows and N columns, in registers: its numbers are sums in the order of l, whatever the
// tiles are. SIGN: c = a b, c += a b or c -= a b.
template <class T, int N, int V, int SIGN>
void tile(int k, const T* a, int lda, const T* b, long down, long right, T* c, int ldc) {
    Vec<T> sum[N][V] = {};
    for (int l = 0; l < k; l++, a += lda, b += down) {
        Vec<T> rows[V];
        for (int v = 0; v < V; v++) rows[v] = *(const Vec<T>*)(a + v * LANES<T>);
        for (int j = 0; j < N; j++) {
            const T factor = b[j * right];
            for (int v = 0; v < V; v++) sum[j][v] += rows[v] * factor;
        }
    }
    for (int j = 0; j < N; j++, c += ldc)
        for (int v = 0; v < V; v++) {
            Vec<T>& out = *(Vec<T>*)(c + v * LANES<T>);
            out = SIGN == 0 ? sum[j][v] : SIGN > 0 ? out + sum[j][v] : out - sum[j][v];
        }
}

// The rows of N columns of a product, at most COLUMNS; of packed weights a, or of a matrix as it is.
template <class T, int N, int SIGN, bool PACKED>
void columns(int n, int m, int k, const T* a, int lda, const T* b, long down, long right, T* c, int ldc) {
    if constexpr (N > 1)
        if (n < N) return columns<T, N - 1, SIGN, PACKED>(n, m, k, a, lda, b, down, right, c, ldc);
    int i = 0;
    for (; i + ROWS<T> <= m; i += ROWS<T>)
        tile<T, N, 2, SIGN>(k, a + (PACKED ? (long)i * k : i), lda, b, down, right, c + i, ldc);
    if constexpr (PACKED) {
        if (i == m) return;
        T rest[N * ROWS<T>];
        for (int j = 0; j < N; j++)
            for (int r = 0; r < ROWS<T>; r++) rest[j * ROWS<T> + r] = SIGN && i + r < m ? c[j * (long)ldc + i + r] : T(0);
        tile<T, N, 2, SIGN>(k, a + (long)i * k, lda, b, down, right, rest, ROWS<T>);
        for (int j = 0; j < N; j++)
            for (int r = 0; i + r < m; r++) c[j * (long)ldc + i + r] = rest[j * ROWS<T> + r];
    } else {
        for (; i + LANES<T> <= m; i += LANES<T>) tile<T, N, 1, SIGN>(k, a + i, lda, b, down, right, c + i, ldc);
        for (; i < m; i++)
            for (int j = 0; j < N; j++) {
                T sum = 0;
                for (int l = 0; l < k; l++) sum += a[l * (long)lda + i] * b[l * down + j * right];
                T& out = c[j * (long)ldc + i];
                out = SIGN == 0 ? sum : SIGN > 0 ? out + sum : out - sum;
            }
    }
}

template <class T, int SIGN, bool PACKED>
void product(int m, int n, int k, const T* a, int lda, const T* b, long down, long right, T* c, int ldc) {
    for (int j = 0, blocks = (n + COLUMNS - 1) / COLUMNS; blocks; blocks--) {
        const int width = (n - j + blocks - 1) / blocks;
        columns<T, COLUMNS, SIGN, PACKED>(width, m, k, a, lda, b + j * right, down, right, c + (long)j * ldc, ldc);
        j += width;
    }
}

// c [m x n] = a b, or c += a b, for packed weights a [m x k], and b with any strides. For few columns, where a BLAS packs
// its factors at every call.
template <class T>
void product(int m, int n, int k, const T* a, const T* b, long down, long right, T* c, int ldc, int beta) {
    if (beta)
        product<T, 1, true>(m, n, k, a, ROWS<T>, b, down, right, c, ldc);
    else
        product<T, 0, true>(m, n, k, a, ROWS<T>, b, down, right, c, ldc);
}

typedef const char* Letter;
typedef const int* Size;

// The function at place `at` of f for double precision, and at the next one for single precision.
template <class T, class Function>
Function* function(void** f, int at) {
    return (Function*)f[at + !std::is_same<T, double>::value];
}

// c [m x n] = a b + beta c
template <class T>
void gemm(void** f, char ta, char tb, int m, int n, int k, const T* a, int lda, const T* b, int ldb, T* c, int ldc,
          int beta) {
    typedef void F(Letter, Letter, Size, Size, Size, const T*, const T*, Size, const T*, Size, const T*, T*, Size);
    const T one = 1, keep = T(beta);
    function<T, F>(f, 0)(&ta, &tb, &m, &n, &k, &one, a, &lda, b, &ldb, &keep, c, &ldc);
}

// c = a v + beta c for a [m x n], or for its transposed
template <class T>
void gemv(void** f, char t, int m, int n, const T* a, int lda, const T* v, int inc, T* c, int beta) {
    typedef void F(Letter, Size, Size, const T*, const T*, Size, const T*, Size, const T*, T*, Size);
    const T one = 1, keep = T(beta);
    const int step = 1;
    function<T, F>(f, 2)(&t, &m, &n, &one, a, &lda, v, &inc, &keep, c, &step);
}

}  // namespace

extern "C" int floss_supported() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}
