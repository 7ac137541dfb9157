// Small dense linear algebra and elementary functions for one thread.
//
// Included by scan.cpp once for each instruction set, in a namespace of its own, with
// RIMS_VECTOR_BYTES the width of a vector register. So no flag like -march=native is needed.

template <class T, int VB> struct Vec {
  typedef T type __attribute__((vector_size(VB), aligned(sizeof(T)), may_alias));
  static constexpr int lanes = VB / sizeof(T);
};

// y[r][0..NV * lanes) = bias + x[r][0..depth) . w[depth][ld], for R rows at once.
template <class T, int VB, int R, int NV>
inline __attribute__((always_inline)) void tile(const T *const *x, int depth, const T *w, int64_t ld, const T *bias,
                      T *const *y, int column) {
  typedef typename Vec<T, VB>::type V;
  constexpr int L = Vec<T, VB>::lanes;
  V sum[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v)
      sum[r][v] = bias ? *(const V *)(bias + column + v * L) : V{};
  const T *row = w + column;
  for (int i = 0; i < depth; ++i, row += ld) {
    V weights[NV];
    for (int v = 0; v < NV; ++v) weights[v] = *(const V *)(row + v * L);
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < NV; ++v) sum[r][v] += x[r][i] * weights[v];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) *(V *)(y[r] + column + v * L) = sum[r][v];
}

template <class T, int VB, int NV>
void tile_rows(int rows, const T *const *x, int depth, const T *w, int64_t ld,
                           const T *bias, T *const *y, int column) {
  int r = 0;
  for (; r + 6 <= rows; r += 6) tile<T, VB, 6, NV>(x + r, depth, w, ld, bias, y + r, column);
  switch (rows - r) {
  case 5: tile<T, VB, 5, NV>(x + r, depth, w, ld, bias, y + r, column); break;
  case 4: tile<T, VB, 4, NV>(x + r, depth, w, ld, bias, y + r, column); break;
  case 3: tile<T, VB, 3, NV>(x + r, depth, w, ld, bias, y + r, column); break;
  case 2: tile<T, VB, 2, NV>(x + r, depth, w, ld, bias, y + r, column); break;
  case 1: tile<T, VB, 1, NV>(x + r, depth, w, ld, bias, y + r, column); break;
  }
}

// y[r] = bias + x[r] w for rows given by pointers; w is (depth, columns) with row stride ld.
// A last partial vector overlaps the one before it, whose results it computes again.
template <class T, int VB>
__attribute__((noinline)) void multiply(int rows, const T *const *x, int depth, const T *w, int64_t ld,
                          int columns, const T *bias, T *const *y) {
  constexpr int L = Vec<T, VB>::lanes;
  if constexpr (VB > 16) {
    if (columns < L) {
      multiply<T, VB / 2>(rows, x, depth, w, ld, columns, bias, y);
      return;
    }
  } else if (columns < L) {
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < columns; ++j) {
        T sum = bias ? bias[j] : T(0);
        for (int i = 0; i < depth; ++i) sum += x[r][i] * w[i * ld + j];
        y[r][j] = sum;
      }
    return;
  }
  // The accumulators fit the registers: 6 x 4 of 32, 6 x 2 of 16.
  constexpr int NV = VB == 64 ? 4 : 2;
  int j = 0;
  for (; j + NV * L <= columns; j += NV * L) tile_rows<T, VB, NV>(rows, x, depth, w, ld, bias, y, j);
  for (; j + L <= columns; j += L) tile_rows<T, VB, 1>(rows, x, depth, w, ld, bias, y, j);
  if (j < columns) tile_rows<T, VB, 1>(rows, x, depth, w, ld, bias, y, columns - L);
}

template <class T> inline T dot(const T *a, const T *b, int n) {
  // Sixteen partial sums: an order of additions that every vector width can follow.
  T part[16] = {};
  int i = 0;
  for (; i + 16 <= n; i += 16)
    for (int l = 0; l < 16; ++l) part[l] += a[i + l] * b[i + l];
  T sum = 0;
  for (int l = 0; l < 16; ++l) sum += part[l];
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// exp by 2^n e^r with |r| <= ln(2) / 2; the polynomials are the Taylor series.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = x * 1.44269504f + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits; // unsigned: NaN has bits that overflow
  std::memcpy(&bits, &shifted, 4);
  bits = (bits - 0x4b400000 + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

inline double exponential(double x) {
  x = x < -708.0 ? -708.0 : x > 709.0 ? 709.0 : x;
  const double magic = 6755399441055744.0; // 1.5 * 2^52
  const double shifted = x * 1.4426950408889634 + magic;
  const double n = shifted - magic;
  const double r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  uint64_t bits;
  std::memcpy(&bits, &shifted, 8);
  bits = (bits - 0x4338000000000000 + 1023) << 52;
  double scale;
  std::memcpy(&scale, &bits, 8);
  return p * scale;
}

template <class T> inline T sigmoid(T x) { return T(1) / (T(1) + exponential(-x)); }
template <class T> inline T tanh_of(T x) { return T(1) - T(2) / (T(1) + exponential(T(2) * x)); }
