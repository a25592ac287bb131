// QR decompositions of tangent vectors, a [n x k] = Q R with diag(R) > 0, and their reduced adjoint.
//
// By block Gram-Schmidt: the left half of the vectors is decomposed, taken out of the right half, and that is decomposed, so
// that nearly all of it is products. Done once, QᵀQ - I is about ε κ; where the R_ii spread so much that this is above
// rounding, all is done again with Q, which keeps it at rounding level for every κ < 1/ε (Giraud, Langou & Rozložník 2005).

namespace {

constexpr int LEAF = 8;  // vectors that are decomposed one by one

// The sum of the numbers of a vector, by halves.
template <class T, int BYTES = FLOSS_VECTOR_BYTES>
T sum_of(const T* v) {
    constexpr int HALF = BYTES / 2 / sizeof(T);
    typedef T Half __attribute__((vector_size(BYTES / 2), aligned(alignof(T)), may_alias));
    if constexpr (HALF == 1) {
        return v[0] + v[1];
    } else {
        const Half sum = *(const Half*)v + *(const Half*)(v + HALF);
        return sum_of<T, BYTES / 2>((const T*)&sum);
    }
}

// c [I x J] = aᵀ b for I and J vectors of n numbers.
template <class T, int I, int J>
void inner_tile(int n, const T* a, int lda, const T* b, int ldb, T* c, int ldc) {
    Vec<T> sum[J][I] = {};
    int l = 0;
    for (; l + LANES<T> <= n; l += LANES<T>) {
        Vec<T> left[I];
        for (int i = 0; i < I; i++) left[i] = *(const Vec<T>*)(a + (long)i * lda + l);
        for (int j = 0; j < J; j++) {
            const Vec<T> right = *(const Vec<T>*)(b + (long)j * ldb + l);
            for (int i = 0; i < I; i++) sum[j][i] += left[i] * right;
        }
    }
    for (int j = 0; j < J; j++)
        for (int i = 0; i < I; i++) {
            T total = sum_of((const T*)&sum[j][i]);
            for (int r = l; r < n; r++) total += a[(long)i * lda + r] * b[(long)j * ldb + r];
            c[(long)j * ldc + i] = total;
        }
}

// c [m x k] = aᵀ b for m and k vectors of n numbers.
template <class T>
void inner(int m, int k, int n, const T* a, int lda, const T* b, int ldb, T* c, int ldc) {
    constexpr int I = FLOSS_ACCUMULATORS >= 20 ? 4 : 2, J = 4;
    const auto column = [&](auto width, int j) {
        constexpr int W = decltype(width)::value;
        int i = 0;
        for (; i + I <= m; i += I)
            inner_tile<T, I, W>(n, a + (long)i * lda, lda, b + (long)j * ldb, ldb, c + (long)j * ldc + i, ldc);
        for (; i < m; i++)
            inner_tile<T, 1, W>(n, a + (long)i * lda, lda, b + (long)j * ldb, ldb, c + (long)j * ldc + i, ldc);
    };
    int j = 0;
    for (; j + J <= k; j += J) column(std::integral_constant<int, J>{}, j);
    for (; j < k; j++) column(std::integral_constant<int, 1>{}, j);
}

// How many of k vectors are the left half: whole leaves.
inline int half_of(int k) { return (k / 2 + LEAF - 1) / LEAF * LEAF; }

// a becomes Q, and the upper triangle of r is R.
template <class T>
void gram_schmidt(int n, int k, T* a, int lda, T* r, int ldr) {
    if (k > LEAF) {
        const int left = half_of(k), right = k - left;
        T *const next = a + (long)left * lda, *const corner = r + (long)left * ldr;
        gram_schmidt(n, left, a, lda, r, ldr);
        inner(left, right, n, a, lda, next, lda, corner, ldr);
        product<T, -1, false>(n, right, left, a, lda, corner, 1, ldr, next, lda);
        gram_schmidt(n, right, next, lda, corner + left, ldr);
        return;
    }
    for (int j = 0; j < k; j++) {
        T *const own = a + (long)j * lda, length;
        inner_tile<T, 1, 1>(n, own, lda, own, lda, &length, 1);
        length = std::sqrt(length);
        r[(long)j * ldr + j] = length;
        const T scale = 1 / length;
        for (int i = 0; i < n; i++) own[i] *= scale;
        for (int other = j + 1; other < k; other++) {
            T *const to = a + (long)other * lda, along;
            inner_tile<T, 1, 1>(n, own, lda, to, lda, &along, 1);
            r[(long)other * ldr + j] = along;
            for (int i = 0; i < n; i++) to[i] -= along * own[i];
        }
    }
}

// a becomes Q, and r [k x k] has R in its upper triangle. work has k² numbers.
template <class T>
void orthonormalise(int n, int k, T* a, int lda, T* r, T* work) {
    gram_schmidt(n, k, a, lda, r, k);
    T least = r[0], most = r[0];
    for (int i = 1; i < k; i++) {
        const T size = r[(long)i * k + i];
        least = size < least ? size : least, most = size > most ? size : most;
    }
    constexpr T spread = std::is_same<T, double>::value ? 100 : 10;
    if (most <= spread * least) return;
    gram_schmidt(n, k, a, lda, work, k);
    for (int j = 0; j < k; j++) {  // R is the second factor times the first
        T* const column = r + (long)j * k;
        for (int i = 0; i <= j; i++) {
            T sum = 0;
            for (int l = i; l <= j; l++) sum += work[(long)l * k + i] * column[l];
            column[i] = sum;
        }
    }
}

// z becomes z R^{-T}.
template <class T>
void solve(int n, int k, const T* r, int ldr, T* z, int ld) {
    if (k > LEAF) {
        const int left = half_of(k), right = k - left;
        const T* const corner = r + (long)left * ldr;
        T* const last = z + (long)left * ld;
        solve(n, right, corner + left, ldr, last, ld);
        product<T, -1, false>(n, left, right, last, ld, corner, ldr, 1, z, ld);
        solve(n, left, r, ldr, z, ld);
        return;
    }
    for (int j = k - 1; j >= 0; j--) {
        T* const own = z + (long)j * ld;
        const T scale = 1 / r[(long)j * ldr + j];
        for (int i = 0; i < n; i++) own[i] *= scale;
        for (int other = 0; other < j; other++) {
            T* const to = z + (long)other * ld;
            const T along = r[(long)j * ldr + other];
            for (int i = 0; i < n; i++) to[i] -= along * own[i];
        }
    }
}

constexpr int PANEL = 32;  // columns of z whose part of the triangle is done at once

// z [n x k] = [z + q (diag(g) - triu(qᵀ z))] R^{-T}, the reduced adjoint (floss/lyapunov/tangent_qr.py); without g, of an
// interval that does not count. mix has k min(k, PANEL) numbers.
template <class T>
void adjoint(int n, int k, const T* q, const T* r, const T* g, T* z, int ld, T* mix) {
    for (int begin = 0; begin < k; begin += PANEL) {
        const int width = k - begin < PANEL ? k - begin : PANEL, above = begin + width;
        T* const panel = z + (long)begin * ld;
        inner(above, width, n, q, ld, panel, ld, mix, above);
        for (int j = 0; j < width; j++) {
            T* const column = mix + (long)j * above;
            for (int i = 0; i < above; i++) column[i] = i <= begin + j ? -column[i] : T(0);
            if (g) column[begin + j] += g[begin + j];
        }
        product<T, 1, false>(n, width, above, q, ld, mix, 1, above, panel, ld);
    }
    solve(n, k, r, k, z, ld);
}

}  // namespace
