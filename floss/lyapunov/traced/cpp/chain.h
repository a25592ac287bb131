// What the text of a recorded step calls: products, QR decompositions and their adjoint, by the BLAS and the LAPACK that
// torch uses, at the addresses f (floss/lyapunov/blas.py). Matrices are column-major.
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

// One tile of a product, in registers: its numbers are sums in the order of l, whatever the tiles are.
template <class T, int N>
void tile(int rows, int k, const T* a, const T* b, long down, long right, T* c, int ldc, int beta) {
    Vec<T> sum[N][2] = {};
    for (int l = 0; l < k; l++, a += ROWS<T>, b += down) {
        const Vec<T> upper = *(const Vec<T>*)a, lower = *(const Vec<T>*)(a + LANES<T>);
        for (int j = 0; j < N; j++) {
            const T factor = b[j * right];
            sum[j][0] += upper * factor, sum[j][1] += lower * factor;
        }
    }
    for (int j = 0; j < N; j++, c += ldc) {
        const T* const column = (const T*)sum[j];
        if (beta)
            for (int i = 0; i < rows; i++) c[i] += column[i];
        else
            for (int i = 0; i < rows; i++) c[i] = column[i];
    }
}

template <class T, int N>
void tiles(int n, int m, int k, const T* a, const T* b, long down, long right, T* c, int ldc, int beta) {
    if constexpr (N > 1)
        if (n < N) return tiles<T, N - 1>(n, m, k, a, b, down, right, c, ldc, beta);
    int i = 0;
    for (; i + ROWS<T> <= m; i += ROWS<T>) tile<T, N>(ROWS<T>, k, a + (long)i * k, b, down, right, c + i, ldc, beta);
    if (i < m) tile<T, N>(m - i, k, a + (long)i * k, b, down, right, c + i, ldc, beta);
}

// c [m x n] = a b + beta c for packed weights a [m x k], and b with any strides. For few columns, where a BLAS packs its
// factors at every call.
template <class T>
void product(int m, int n, int k, const T* a, const T* b, long down, long right, T* c, int ldc, int beta) {
    for (int j = 0, blocks = (n + COLUMNS - 1) / COLUMNS; blocks; blocks--) {
        const int width = (n - j + blocks - 1) / blocks;
        tiles<T, COLUMNS>(width, m, k, a, b + j * right, down, right, c + (long)j * ldc, ldc, beta);
        j += width;
    }
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

// a [n x k] becomes Q. Before that, keep() finds R in the upper triangle of a. work has 33 k + 64 numbers.
template <class T, class Keep>
void factor(void** f, int n, int k, T* a, int lda, T* work, Keep keep) {
    typedef void Factor(Size, Size, T*, Size, T*, T*, Size, int*);
    typedef void Generate(Size, Size, Size, T*, Size, const T*, T*, Size, int*);
    T *tau = work, *rest = work + k;
    const int size = 32 * k;
    int info;
    function<T, Factor>(f, 4)(&n, &k, a, &lda, tau, rest, &size, &info);
    keep();
    function<T, Generate>(f, 6)(&n, &k, &k, a, &lda, tau, rest, &size, &info);
}

constexpr int PANEL = 64;  // columns of z whose part of the triangle is done at once

// z [n x k] = [z + q (diag(g) - triu(qᵀ z))] R^{-T}, the reduced adjoint of z = q R (floss/lyapunov/tangent_qr.py); without
// g, of an interval that does not count. mix has k min(k, PANEL) numbers.
template <class T>
void adjoint(void** f, int n, int k, const T* q, const T* r, const T* g, T* z, int ld, T* mix) {
    for (int begin = 0; begin < k; begin += PANEL) {
        const int width = k - begin < PANEL ? k - begin : PANEL, above = begin + width;
        T* const panel = z + (long)begin * ld;
        gemm(f, 'T', 'N', above, width, n, q, ld, panel, ld, mix, above, 0);
        for (int j = 0; j < width; j++) {
            T* const column = mix + (long)j * above;
            for (int i = 0; i < above; i++) column[i] = i <= begin + j ? -column[i] : T(0);
            if (g) column[begin + j] += g[begin + j];
        }
        gemm(f, 'N', 'N', n, width, above, q, ld, mix, above, panel, ld, 1);
    }
    typedef void Solve(Letter, Letter, Letter, Letter, Size, Size, const T*, const T*, Size, T*, Size);
    const T one = 1;
    function<T, Solve>(f, 8)("R", "U", "T", "N", &n, &k, &one, r, &k, z, &ld);
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
