// Where a thread finds its rows in the arrays.
//
// Included by kernel.h.

template <class T> struct Layout {
  const Sizes &s;
  const int K, H, GH, E, V, Q, O, A, S;
  explicit Layout(const Sizes &sizes)
      : s(sizes), K(int(sizes.num_rims)), H(int(sizes.rim_size)),
        GH(int(sizes.gates * sizes.rim_size)), E(int(sizes.comm_heads * sizes.comm_key_size)),
        V(int(sizes.comm_heads * sizes.comm_value_size)), Q(2 * E + V),
        O(sizes.communication == Communication::residual ? H : 2 * H), A(int(sizes.num_active)),
        S(sizes.read_candidate ? K : A) {}

  int64_t sample(int64_t t, int64_t b) const { return t * s.batch + b; }
  int64_t saved(int64_t t, int64_t b) const { return sample(s.save ? t : 0, b); }
  // Index of (n, k, t, b) in arrays that the hoisted products make, RIM by RIM.
  int64_t hoisted(int n, int k, int64_t t, int64_t b) const {
    return (int64_t(n) * K + k) * s.steps * s.batch + sample(t, b);
  }
  // The row of RIM k among those of which `slot` numbers the active ones.
  int cell_row(int k, int slot) const { return s.read_candidate ? k : slot; }
};

// Numbers the active RIMs of a sample; the others get -1.
inline void number_active(const uint8_t *active, int rims, int *slot) {
  for (int k = 0, next = 0; k < rims; ++k) slot[k] = active[k] ? next++ : -1;
}

// The state that enters a step: the earlier one itself, or a scaled copy of it.
template <class T> const T *entering(const T *earlier, T keep, int size, T *__restrict copy) {
  if (keep == T(1)) return earlier;
  for (int j = 0; j < size; ++j) copy[j] = keep * earlier[j];
  return copy;
}
