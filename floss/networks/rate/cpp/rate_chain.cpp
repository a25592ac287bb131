// A chain of steps of one rate network without gradients, in one call: what `fast_spectrum` does by calls of torch.
//
//     scaled = [rows ∘ φ'(h); φ(h)],   [rows; h] ← scaled Wᵀ + [0; drive[t]],   rows, R ← QR after some steps
//
// Products and QR decompositions are those of the BLAS and the LAPACK that torch uses, by their addresses f. A matrix
// of rows [k][N] is the column-major N x k matrix of the tangent vectors.
#include <cmath>
#include <type_traits>

namespace {

typedef const char* Letter;
typedef const int* Size;

void product(void** f, int m, int n, int k, const double* a, const double* b, double* c) {
    double one = 1, zero = 0;
    ((void (*)(Letter, Letter, Size, Size, Size, const double*, const double*, Size, const double*, Size, const double*,
               double*, Size))f[0])("N", "N", &m, &n, &k, &one, a, &m, b, &k, &zero, c, &m);
}

void product(void** f, int m, int n, int k, const float* a, const float* b, float* c) {
    float one = 1, zero = 0;
    ((void (*)(Letter, Letter, Size, Size, Size, const float*, const float*, Size, const float*, Size, const float*,
               float*, Size))f[1])("N", "N", &m, &n, &k, &one, a, &m, b, &k, &zero, c, &m);
}

// a [N x k, column-major] becomes Q, and the diagonal of R, whatever its signs; functions are those of T in f.
template <typename T>
void factor(void** f, int n, int k, T* a, double* diagonal, T* work) {
    void** own = f + (std::is_same<T, double>::value ? 4 : 5);
    int info, size = 32 * k;
    T *tau = work, *rest = work + k;
    ((void (*)(Size, Size, T*, Size, T*, T*, Size, int*))own[0])(&n, &k, a, &n, tau, rest, &size, &info);
    for (int i = 0; i < k; i++) diagonal[i] = a[(long)i * n + i];
    ((void (*)(Size, Size, Size, T*, Size, T*, T*, Size, int*))own[2])(&n, &k, &k, a, &n, tau, rest, &size, &info);
}

struct Tanh {
    template <typename T> static T rate(T h) { return std::tanh(h); }
    template <typename T> static T slope(T r) { return 1 - r * r; }
};

struct Relu {
    template <typename T> static T rate(T h) { return h < 0 ? T(0) : h; }  // NaN stays NaN
    template <typename T> static T slope(T r) { return r > 0 ? T(1) : T(0); }
};

struct Identity {
    template <typename T> static T rate(T h) { return h; }
    template <typename T> static T slope(T) { return T(1); }
};

// work has 33 k + 64 numbers; scaled and after have (k + 1) N.
template <typename Phi, typename T>
void chain(void** f, long n, long k, long steps, const T* Wt, const T* drive, T* h, T* rows, const unsigned char* ends,
           double* diagonals, T* scaled, T* after, T* work) {
    const T* from = rows;
    T* rate = scaled + k * n;
    for (long t = 0; t < steps; t++, drive += n) {
        for (long i = 0; i < n; i++) rate[i] = Phi::rate(h[i]);
        for (long i = 0; i < n; i++) h[i] = Phi::slope(rate[i]);
        for (long j = 0; j < k; j++)
            for (long i = 0; i < n; i++) scaled[j * n + i] = from[j * n + i] * h[i];
        product(f, n, k + 1, n, Wt, scaled, after);
        for (long i = 0; i < n; i++) h[i] = after[k * n + i] + drive[i];
        from = after;
        if (!ends[t]) continue;
        factor(f, n, k, after, diagonals, work);
        diagonals += k;
    }
    for (long i = 0; i < n * k; i++) rows[i] = from[i];
}

}  // namespace

#define CHAIN(name, Phi, T)                                                                                            \
    extern "C" void name(void** f, long n, long k, long steps, const T* Wt, const T* drive, T* h, T* rows,             \
                         const unsigned char* ends, double* diagonals, T* scaled, T* after, T* work) {            \
        chain<Phi>(f, n, k, steps, Wt, drive, h, rows, ends, diagonals, scaled, after, work);                          \
    }

CHAIN(floss_tanh_float64, Tanh, double)
CHAIN(floss_tanh_float32, Tanh, float)
CHAIN(floss_relu_float64, Relu, double)
CHAIN(floss_relu_float32, Relu, float)
CHAIN(floss_identity_float64, Identity, double)
CHAIN(floss_identity_float32, Identity, float)

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
