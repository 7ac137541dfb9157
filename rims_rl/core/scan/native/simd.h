// Small dense linear algebra and elementary functions for one thread.
//
// Included by scan.cpp once for each instruction set, in a namespace of its own, with
// RIMS_VECTOR_BYTES the width of a vector register. So no flag like -march=native is needed.

template <class T, int VB> struct Vec {
  typedef T type __attribute__((vector_size(VB), aligned(sizeof(T)), may_alias));
  static constexpr int lanes = VB / sizeof(T);
};

// The accumulators of a product fit the registers: 6 rows x 4 vectors of 32, 6 x 2 of 16.
constexpr int TILE_ROWS = 6;
constexpr int TILE_VECTORS = RIMS_VECTOR_BYTES == 64 ? 4 : 2;

// Rows collected for one matrix product: y[r] = start[r] + x[r] w, without start if it is null.
template <class T> struct Rows {
  const T **x;
  T **y;
  const T **start;
  int count = 0;
  void add(const T *from, T *to, const T *first = nullptr) {
    x[count] = from;
    start[count] = first;
    y[count++] = to;
  }
};

template <class T, int VB, int R, int NV>
inline __attribute__((always_inline)) void tile(const T *const *x, int depth, const T *w,
                                                int64_t ld, const T *const *start, T *const *y,
                                                int column) {
  typedef typename Vec<T, VB>::type V;
  constexpr int L = Vec<T, VB>::lanes;
  V sum[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v)
      sum[r][v] = start[r] ? *(const V *)(start[r] + column + v * L) : V{};
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
void tile_rows(const Rows<T> &rows, int depth, const T *w, int64_t ld, int column) {
  // As even as possible: a lone row would load all weights for itself.
  int blocks = (rows.count + TILE_ROWS - 1) / TILE_ROWS;
  for (int r = 0; blocks > 0; --blocks) {
    const int count = (rows.count - r + blocks - 1) / blocks;
    const T *const *x = rows.x + r, *const *start = rows.start + r;
    T *const *y = rows.y + r;
    switch (count) {
    case 6: tile<T, VB, 6, NV>(x, depth, w, ld, start, y, column); break;
    case 5: tile<T, VB, 5, NV>(x, depth, w, ld, start, y, column); break;
    case 4: tile<T, VB, 4, NV>(x, depth, w, ld, start, y, column); break;
    case 3: tile<T, VB, 3, NV>(x, depth, w, ld, start, y, column); break;
    case 2: tile<T, VB, 2, NV>(x, depth, w, ld, start, y, column); break;
    case 1: tile<T, VB, 1, NV>(x, depth, w, ld, start, y, column); break;
    }
    r += count;
  }
}

// All rows times w, which is (depth, columns) with row stride ld; y and start must not overlap.
// A last partial tile overlaps the one before it, whose results it computes again.
template <class T, int VB = RIMS_VECTOR_BYTES>
__attribute__((noinline)) void multiply(const Rows<T> &rows, int depth, const T *w, int64_t ld,
                                        int columns) {
  constexpr int L = Vec<T, VB>::lanes;
  if constexpr (VB > 16) {
    if (columns < L) return multiply<T, VB / 2>(rows, depth, w, ld, columns);
  } else if (columns < L) {
    for (int r = 0; r < rows.count; ++r)
      for (int j = 0; j < columns; ++j) {
        T sum = rows.start[r] ? rows.start[r][j] : T(0);
        for (int i = 0; i < depth; ++i) sum += rows.x[r][i] * w[i * ld + j];
        rows.y[r][j] = sum;
      }
    return;
  }
  const int widest = TILE_VECTORS * L < columns ? TILE_VECTORS : columns / L;
  for (int j = 0; j < columns;) {
    const int left = (columns - j + L - 1) / L, vectors = left < widest ? left : widest;
    const int column = j + vectors * L <= columns ? j : columns - vectors * L;
    switch (vectors) {
    case 4:
      if constexpr (TILE_VECTORS == 4) tile_rows<T, VB, 4>(rows, depth, w, ld, column);
      break;
    case 3:
      if constexpr (TILE_VECTORS == 4) tile_rows<T, VB, 3>(rows, depth, w, ld, column);
      break;
    case 2: tile_rows<T, VB, 2>(rows, depth, w, ld, column); break;
    case 1: tile_rows<T, VB, 1>(rows, depth, w, ld, column); break;
    }
    j = column + vectors * L;
  }
}

template <class T, int R, int NV>
inline __attribute__((always_inline)) void
outer_tile(int rows, const T *const *x, const T *const *y, int i, int j, T *w, int64_t ld) {
  typedef typename Vec<T, RIMS_VECTOR_BYTES>::type V;
  constexpr int L = Vec<T, RIMS_VECTOR_BYTES>::lanes;
  V sum[R][NV];
  for (int a = 0; a < R; ++a)
    for (int v = 0; v < NV; ++v) sum[a][v] = *(const V *)(w + (i + a) * ld + j + v * L);
  for (int r = 0; r < rows; ++r) {
    V factor[NV];
    for (int v = 0; v < NV; ++v) factor[v] = *(const V *)(y[r] + j + v * L);
    for (int a = 0; a < R; ++a)
      for (int v = 0; v < NV; ++v) sum[a][v] += x[r][i + a] * factor[v];
  }
  for (int a = 0; a < R; ++a)
    for (int v = 0; v < NV; ++v) *(V *)(w + (i + a) * ld + j + v * L) = sum[a][v];
}

template <class T, int NV>
void outer_columns(int rows, const T *const *x, int depth, const T *const *y, int j, T *w,
                   int64_t ld) {
  int i = 0;
  for (; i + 6 <= depth; i += 6) outer_tile<T, 6, NV>(rows, x, y, i, j, w, ld);
  switch (depth - i) {
  case 5: outer_tile<T, 5, NV>(rows, x, y, i, j, w, ld); break;
  case 4: outer_tile<T, 4, NV>(rows, x, y, i, j, w, ld); break;
  case 3: outer_tile<T, 3, NV>(rows, x, y, i, j, w, ld); break;
  case 2: outer_tile<T, 2, NV>(rows, x, y, i, j, w, ld); break;
  case 1: outer_tile<T, 1, NV>(rows, x, y, i, j, w, ld); break;
  }
}

// w += sum over rows of x[r]^T y[r], x[r] of depth and y[r] of ld numbers, ld a multiple of PAD.
template <class T>
__attribute__((noinline)) void add_outer(const Rows<T> &rows, int depth, T *w, int64_t ld) {
  constexpr int L = Vec<T, RIMS_VECTOR_BYTES>::lanes;
  for (int j = 0; j < ld;) {
    const int left = int(ld - j) / L, vectors = left < TILE_VECTORS ? left : TILE_VECTORS;
    switch (vectors) {
    case 4:
      if constexpr (TILE_VECTORS == 4)
        outer_columns<T, 4>(rows.count, rows.x, depth, rows.y, j, w, ld);
      break;
    case 3:
      if constexpr (TILE_VECTORS == 4)
        outer_columns<T, 3>(rows.count, rows.x, depth, rows.y, j, w, ld);
      break;
    case 2: outer_columns<T, 2>(rows.count, rows.x, depth, rows.y, j, w, ld); break;
    case 1: outer_columns<T, 1>(rows.count, rows.x, depth, rows.y, j, w, ld); break;
    }
    j += vectors * L;
  }
}

// y[0..size) = sum over r of weight[r * step] x[r * stride ...].
template <class T, int VB = RIMS_VECTOR_BYTES>
inline void weighted_sum(int rows, const T *weight, int step, const T *x, int64_t stride, int size,
                         T *y) {
  typedef typename Vec<T, VB>::type V;
  constexpr int L = Vec<T, VB>::lanes;
  int d = 0;
  for (; d + L <= size; d += L) {
    V sum{};
    for (int r = 0; r < rows; ++r) sum += weight[r * step] * *(const V *)(x + r * stride + d);
    *(V *)(y + d) = sum;
  }
  if (d == size) return;
  if constexpr (VB > 16) {
    weighted_sum<T, VB / 2>(rows, weight, step, x + d, stride, size - d, y + d);
  } else {
    for (; d < size; ++d) {
      T sum = 0;
      for (int r = 0; r < rows; ++r) sum += weight[r * step] * x[r * stride + d];
      y[d] = sum;
    }
  }
}

template <class T, int VB> inline T sum_of(typename Vec<T, VB>::type x) {
  if constexpr (VB > 16) {
    typename Vec<T, VB / 2>::type half[2];
    std::memcpy(half, &x, VB);
    return sum_of<T, VB / 2>(half[0] + half[1]);
  } else {
    T sum = 0;
    for (int l = 0; l < Vec<T, VB>::lanes; ++l) sum += x[l];
    return sum;
  }
}

template <class T, int VB = RIMS_VECTOR_BYTES> inline T dot(const T *a, const T *b, int n) {
  typedef typename Vec<T, VB>::type V;
  constexpr int L = Vec<T, VB>::lanes;
  V even{}, odd{};
  int i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    even += *(const V *)(a + i) * *(const V *)(b + i);
    odd += *(const V *)(a + i + L) * *(const V *)(b + i + L);
  }
  if (i + L <= n) {
    even += *(const V *)(a + i) * *(const V *)(b + i);
    i += L;
  }
  T sum = sum_of<T, VB>(even + odd);
  if constexpr (VB > 16) {
    if (i < n) sum += dot<T, VB / 2>(a + i, b + i, n - i);
  } else {
    for (; i < n; ++i) sum += a[i] * b[i];
  }
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
