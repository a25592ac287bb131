// What the text of a recorded step calls: products, QR decompositions and their adjoint, by the BLAS and the LAPACK that
// torch uses, at the addresses f (floss/lyapunov/blas.py). Matrices are column-major.
#include <cmath>
#include <cstring>
#include <type_traits>

namespace {

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
