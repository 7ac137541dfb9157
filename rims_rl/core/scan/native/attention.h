// Who attends to what, and who is active; gradients of the attention (of the edge: backward.h).
//
// Included by kernel.h.

// How many go before RIM k in a stable descending sort, which puts NaN first as torch does.
template <class T> int rank_of(const T *value, int rims, int k) {
  const bool is_nan = value[k] != value[k];
  int before = 0;
  for (int j = 0; j < rims; ++j) {
    const bool other_is_nan = value[j] != value[j];
    const bool equal = value[j] == value[k] || (is_nan && other_is_nan);
    before += equal ? j < k : value[j] > value[k] || other_is_nan;
  }
  return before;
}

// What the input is read with: the attention on it, or 1; what is not a number is never hidden.
template <class T> T reading_weight(T attention, bool read_null) {
  return read_null || attention != attention ? attention : T(1);
}

template <class T> void select_active(const T *total, int rims, int num_active, uint8_t *active) {
  for (int k = 0; k < rims; ++k) active[k] = rank_of(total, rims, k) < num_active;
}

// The index of the RIM that would be active next, or -1 where nobody loses.
template <class T> int first_loser(const T *total, int rims, int num_active) {
  for (int k = 0; k < rims; ++k)
    if (rank_of(total, rims, k) == num_active) return k;
  return -1;
}

// How far RIMs move: a winner by less than the width over the first loser only by that part of it.
template <class T>
void soft_edge(const T *total, int rims, int num_active, const uint8_t *active, T width, T *move) {
  const int loser = first_loser(total, rims, num_active);
  for (int k = 0; k < rims; ++k) {
    const T margin = loser < 0 ? T(1) : (total[k] - total[loser]) / width;
    move[k] = !active[k] ? T(0) : margin < T(1) ? margin : T(1);
  }
}

// The released code's competition: the strongest num_active share what the next one would take.
template <class T> struct Threshold {
  int index;
  T value, norm;
};

template <class T> Threshold<T> find_threshold(const T *softmax, int rims, int num_active) {
  Threshold<T> found{0, T(0), T(0)};
  for (int k = 0; k < rims; ++k)
    if (rank_of(softmax, rims, k) == num_active) found.index = k;
  found.value = softmax[found.index] + T(RIMS_SPARSIFY_EPSILON);
  // Compared so that NaN is not taken for a loser.
  for (int k = 0; k < rims; ++k)
    found.norm += softmax[k] <= found.value ? T(0) : softmax[k] - found.value;
  found.norm += T(RIMS_SPARSIFY_EPSILON);
  return found;
}

template <class T> void softmax_rows(T *x, int rows, int n) {
  for (int r = 0; r < rows; ++r) {
    T *row = x + r * n, largest = row[0];
    for (int i = 1; i < n; ++i) largest = row[i] > largest ? row[i] : largest;
    for (int i = 0; i < n; ++i) row[i] -= largest;
  }
  for (int i = 0; i < rows * n; ++i) x[i] = exponential(x[i]);
  for (int r = 0; r < rows; ++r) {
    T *row = x + r * n, sum = 0;
    for (int i = 0; i < n; ++i) sum += row[i];
    const T share = T(1) / sum;
    for (int i = 0; i < n; ++i) row[i] *= share;
  }
}

// Leaves the softmax over the RIMs in softmax, and in a what is left after the competition.
template <class T> void compete(T *a, T *softmax, int rims, int num_active) {
  softmax_rows(a, 1, rims);
  std::memcpy(softmax, a, rims * sizeof(T));
  if (rims <= num_active + 1) return;
  const Threshold<T> cut = find_threshold(softmax, rims, num_active);
  for (int k = 0; k < rims; ++k) a[k] = a[k] <= cut.value ? T(0) : (a[k] - cut.value) / cut.norm;
}

// From gradients of a, as `compete` left it, to those of the scores, in place.
template <class T>
void compete_backward(const T *a, const T *softmax, int rims, int num_active, T *grad) {
  if (rims > num_active + 1) {
    const Threshold<T> cut = find_threshold(softmax, rims, num_active);
    T mean = 0, of_cut = 0;
    for (int k = 0; k < rims; ++k) mean += grad[k] * a[k];
    for (int k = 0; k < rims; ++k) {
      grad[k] = softmax[k] <= cut.value ? T(0) : (grad[k] - mean) / cut.norm;
      of_cut -= grad[k];
    }
    grad[cut.index] += of_cut;
  }
  T mean = 0;
  for (int k = 0; k < rims; ++k) mean += grad[k] * softmax[k];
  for (int k = 0; k < rims; ++k) grad[k] = softmax[k] * (grad[k] - mean);
}
