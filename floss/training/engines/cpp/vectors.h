// Vectors of numbers, as the compiler has them (GCC, Clang): 64, 32 or 16 bytes by FLOSS_VECTOR_BYTES, which the build
// sets together with the machine's instruction set. Loading, storing, summing, tanh and
// the logistic function.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#ifndef FLOSS_VECTOR_BYTES
#define FLOSS_VECTOR_BYTES 16
#endif

namespace {

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
// Of a finish (product.h) that is to be a function of its own, of which the same bits come wherever it is called; and so
// that its constants do not fill the registers of the tile around it.
#define CALLED __attribute__((noinline))

template <class T>
ALWAYS Vec<T> load(const T* at) {
    return *reinterpret_cast<const Vec<T>*>(at);
}
template <class T>
ALWAYS void store(T* at, Vec<T> x) {
    *reinterpret_cast<Vec<T>*>(at) = x;
}

// A product that is not to be fused with the sum it goes into. Of a b - c d the compiler fuses either, now this and now
// that, and the bits are others.
template <class V>
ALWAYS V unfused(V product) {
#if defined(__AVX512F__)
    asm("" : "+v"(product));
#elif defined(__x86_64__)
    asm("" : "+x"(product));
#elif defined(__aarch64__)
    asm("" : "+w"(product));
#endif
    return product;
}

template <class T>
ALWAYS T sum(Vec<T> x) {  // in halves: the same order on every machine with vectors of this length
    T a[LANES<T>];
    std::memcpy(a, &x, sizeof a);
    for (int half = LANES<T> / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) a[i] += a[i + half];
    return a[0];
}

// exp(y) = power (1 + less), where power = 2^n, y = n log 2 + r with |r| ≤ log(2) / 2, and less = exp(r) - 1 by a Taylor
// polynomial.
template <class T>
struct Exponential {
    Vec<T> less, power;
};

template <class T>
ALWAYS Exponential<T> exponential(Vec<T> y) {
    using V = Vec<T>;
    using I = Bits<T>;
    constexpr bool single = std::is_same_v<T, float>;
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
    const V shifted = y * T(1.4426950408889634) + round;
    const V n = shifted - round;
    V r = y - n * high;
    r = r - n * low;
    V p = V{} + inverse_factorial[degree];
    for (int i = degree - 1; i >= 2; --i) p = p * r + inverse_factorial[i];
    p = p * (r * r) + r;
    return {p, V((I(shifted) << mantissa) + I(V{} + T(1)))};  // n is in the low bits of `shifted`
}

// tanh(x) = m / (m + 2) with m = exp(2|x|) - 1, right to about two units in the last place for every x, small ones too.
template <class T>
ALWAYS Vec<T> tanh_of(Vec<T> x) {
    using V = Vec<T>;
    using I = Bits<T>;
    constexpr T cap = std::is_same_v<T, float> ? T(9.1) : T(19.2);  // beyond it tanh rounds to ±1
    using Integer = std::conditional_t<std::is_same_v<T, float>, std::int32_t, std::int64_t>;
    const I sign = I(x) & (I{} + std::numeric_limits<Integer>::min());
    V a = V(I(x) ^ sign);
    a = a > cap ? V{} + cap : a;  // NaN stays NaN
    const auto [less, power] = exponential<T>(a + a);
    const V m = less * power + (power - T(1));
    return V(I(m / (m + T(2))) | sign);
}

// σ(x) = 1 / (1 + exp(-x)), by exp(-|x|), right to a few units in the last place for every x above -87 (-708).
template <class T>
ALWAYS Vec<T> sigmoid_of(Vec<T> x) {
    using V = Vec<T>;
    using I = Bits<T>;
    using Integer = std::conditional_t<std::is_same_v<T, float>, std::int32_t, std::int64_t>;
    constexpr T cap = std::is_same_v<T, float> ? T(87) : T(708);  // beyond it exp(-|x|) would be a denormal number
    V y = V(I(x) | (I{} + std::numeric_limits<Integer>::min()));
    y = y < -cap ? V{} - cap : y;  // NaN stays NaN
    const auto [less, power] = exponential<T>(y);
    const V small = less * power + power;
    return (x < T(0) ? small : V{} + T(1)) / (T(1) + small);
}

// A vector of double precision, rounded to T.
template <class T>
ALWAYS void store_rounded(T* at, Vec<double> x) {
    typedef T rounded __attribute__((vector_size(LANES<double> * sizeof(T))));
    *reinterpret_cast<rounded*>(at) = __builtin_convertvector(x, rounded);
}

}  // namespace
