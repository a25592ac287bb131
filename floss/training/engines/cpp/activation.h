// What a rate network needs of its transfer function φ, in terms of the rate r = φ(h) as in floss/networks/rate: of single
// numbers and of vectors of them.
#pragma once

#include "vectors.h"

namespace {

struct Tanh {
    template <class T>
    static ALWAYS Vec<T> rate(Vec<T> h) {
        return tanh_of<T>(h);
    }
    template <class T, class V>
    static ALWAYS V slope(V r) {  // φ'(h)
        return T(1) - r * r;
    }
    template <class T>
    static ALWAYS T curvature(T r) {  // φ''(h) / φ'(h)
        return T(-2) * r;
    }
};

struct Relu {
    template <class T>
    static ALWAYS Vec<T> rate(Vec<T> h) {
        return h < T(0) ? Vec<T>{} : h;  // NaN stays NaN
    }
    template <class T, class V>
    static ALWAYS V slope(V r) {
        return r > T(0) ? V{} + T(1) : V{};
    }
    template <class T>
    static ALWAYS T curvature(T) {
        return T(0);
    }
};

struct Identity {
    template <class T>
    static ALWAYS Vec<T> rate(Vec<T> h) {
        return h;
    }
    template <class T, class V>
    static ALWAYS V slope(V) {
        return V{} + T(1);
    }
    template <class T>
    static ALWAYS T curvature(T) {
        return T(0);
    }
};

}  // namespace
