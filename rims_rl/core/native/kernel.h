// The scan of some samples, forward and backward; what is computed stands in `RIM._step`.
//
// Included by scan.cpp once for each instruction set, after simd.h.

// Rows collected for one matrix product.
template <class T> struct Rows {
  const T **x;
  T **y;
  int count = 0;
  void add(const T *from, T *to) {
    x[count] = from;
    y[count++] = to;
  }
};

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

template <class T> void select_active(const T *total, int rims, int num_active, uint8_t *active) {
  for (int k = 0; k < rims; ++k) active[k] = rank_of(total, rims, k) < num_active;
}

// The released code's competition: the strongest num_active share what the next one would take.
template <class T> struct Threshold {
  int index;
  T value, norm;
};

template <class T>
Threshold<T> find_threshold(const T *softmax, int rims, int num_active) {
  Threshold<T> found{0, T(0), T(0)};
  for (int k = 0; k < rims; ++k)
    if (rank_of(softmax, rims, k) == num_active) found.index = k;
  found.value = softmax[found.index] + T(1e-7);
  // Compared so that NaN is not taken for a loser.
  for (int k = 0; k < rims; ++k)
    found.norm += softmax[k] <= found.value ? T(0) : softmax[k] - found.value;
  found.norm += T(1e-7);
  return found;
}

template <class T> void softmax_in_place(T *x, int n) {
  T largest = x[0], sum = 0;
  for (int i = 1; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  for (int i = 0; i < n; ++i) sum += x[i] = exponential(x[i] - largest);
  for (int i = 0; i < n; ++i) x[i] /= sum;
}

// Everything a thread needs to find its way in the arrays.
template <class T> struct View {
  const Sizes &s;
  const int K, H, GH, E, V, Q, O;
  explicit View(const Sizes &sizes)
      : s(sizes), K(sizes.rims), H(sizes.units), GH(sizes.gates * sizes.units),
        E(sizes.comm_heads * sizes.key_size), V(sizes.comm_heads * sizes.value_size), Q(2 * E + V),
        O(sizes.message == RESIDUAL ? H : 2 * H) {}
  // Index of (n, k, t, b) in arrays that the hoisted products make, RIM by RIM.
  int64_t hoisted(int n, int k, int64_t t, int64_t b) const {
    return (int64_t(n) * K + k) * s.steps * s.batch + t * s.batch + b;
  }
  int64_t sample(int64_t t, int64_t b) const { return t * s.batch + b; }
  int64_t saved(int64_t t, int64_t b) const { return sample(s.save ? t : 0, b); }
};

template <class T>
void attend(const View<T> &v, const Forward<T> &f, int64_t t, int64_t b, const T *h) {
  const Sizes &s = v.s;
  uint8_t *active = f.active + v.sample(t, b) * v.K;
  if (s.attention == NO_ATTENTION) {
    std::memset(active, 1, v.K);
    return;
  }
  T *attention = f.attention + v.saved(t, b) * s.heads * v.K;
  T *softmax = s.attention == COMPETITION ? f.softmax + v.saved(t, b) * s.heads * v.K : nullptr;
  T total[256];
  for (int k = 0; k < v.K; ++k) total[k] = 0;
  for (int n = 0; n < s.heads; ++n) {
    T *a = attention + n * v.K;
    for (int k = 0; k < v.K; ++k) a[k] = dot(h + k * v.H, f.scores_in + v.hoisted(n, k, t, b) * v.H, v.H);
    if (s.attention == NULL_ROW) {
      for (int k = 0; k < v.K; ++k) a[k] = sigmoid(a[k]);
    } else {
      softmax_in_place(a, v.K);
      for (int k = 0; k < v.K; ++k) softmax[n * v.K + k] = a[k];
      if (v.K > s.num_active + 1) {
        const Threshold<T> cut = find_threshold(a, v.K, int(s.num_active));
        for (int k = 0; k < v.K; ++k) a[k] = a[k] <= cut.value ? T(0) : (a[k] - cut.value) / cut.norm;
      }
    }
    for (int k = 0; k < v.K; ++k) total[k] += a[k];
  }
  select_active(total, v.K, int(s.num_active), active);
}

template <class T>
void cell(const View<T> &v, const Forward<T> &f, int64_t t, int64_t b, int k, const T *h,
                      const T *c, T *acts, T *candidate, T *new_c, T *gates) {
  const Sizes &s = v.s;
  const int H = v.H;
  const T *bias = f.bias_ih + k * v.GH;
  for (int j = 0; j < v.GH; ++j) gates[j] = bias[j];
  for (int n = 0; n < s.heads; ++n) {
    const T weight = s.attention == NO_ATTENTION ? T(1) : f.attention[(v.saved(t, b) * s.heads + n) * v.K + k];
    const T *in = f.gates_in + v.hoisted(n, k, t, b) * v.GH;
    for (int j = 0; j < v.GH; ++j) gates[j] += weight * in[j];
  }
  // acts holds the state's part of the gates on entry.
  if (s.gates == 3) {
    for (int j = 0; j < H; ++j) {
      const T r = sigmoid(gates[j] + acts[j]);
      const T z = sigmoid(gates[H + j] + acts[H + j]);
      const T state_n = acts[2 * H + j];
      const T n = tanh_of(gates[2 * H + j] + r * state_n);
      acts[j] = r;
      acts[H + j] = z;
      acts[2 * H + j] = n;
      acts[3 * H + j] = state_n;
      candidate[j] = n + z * (h[j] - n);
    }
  } else {
    for (int j = 0; j < H; ++j) {
      const T i = sigmoid(gates[j] + acts[j]);
      const T forget = sigmoid(gates[H + j] + acts[H + j]);
      const T g = tanh_of(gates[2 * H + j] + acts[2 * H + j]);
      const T o = sigmoid(gates[3 * H + j] + acts[3 * H + j]);
      acts[j] = i;
      acts[H + j] = forget;
      acts[2 * H + j] = g;
      acts[3 * H + j] = o;
      new_c[j] = forget * c[j] + i * g;
      candidate[j] = o * tanh_of(new_c[j]);
    }
  }
}

template <class T>
void read_from_all(const View<T> &v, const Forward<T> &f, int64_t t, int64_t b, int k) {
  const Sizes &s = v.s;
  const int dk = int(s.key_size), dv = int(s.value_size);
  const T scale = T(1) / std::sqrt(T(dk));
  const T *qkv = f.qkv + v.saved(t, b) * v.K * v.Q;
  T *read = f.read + (v.saved(t, b) * v.K + k) * v.V;
  for (int n = 0; n < s.comm_heads; ++n) {
    T *weights = f.weights + ((v.saved(t, b) * s.comm_heads + n) * v.K + k) * v.K;
    const T *query = qkv + k * v.Q + n * dk;
    for (int j = 0; j < v.K; ++j) weights[j] = scale * dot(query, qkv + j * v.Q + v.E + n * dk, dk);
    softmax_in_place(weights, v.K);
    T *o = read + n * dv;
    for (int d = 0; d < dv; ++d) o[d] = 0;
    for (int j = 0; j < v.K; ++j) {
      const T *value = qkv + j * v.Q + 2 * v.E + n * dv;
      for (int d = 0; d < dv; ++d) o[d] += weights[j] * value[d];
    }
  }
}

template <class T>
void apply_message(const View<T> &v, const T *candidate, T *out, T *h) {
  const int H = v.H;
  if (v.s.message == RESIDUAL) {
    for (int j = 0; j < H; ++j) h[j] = candidate[j] + out[j];
    return;
  }
  for (int j = 0; j < H; ++j) out[j] = tanh_of(out[j]);
  for (int j = 0; j < H; ++j) out[H + j] = sigmoid(out[H + j]);
  const T blend = v.s.message == BOUNDED ? T(1) : T(0);
  for (int j = 0; j < H; ++j) h[j] = candidate[j] + out[H + j] * (out[j] - blend * candidate[j]);
}

template <class T>
void forward_samples(const Sizes &s, const Forward<T> &f, Scratch<T> &scratch, int64_t b0, int64_t b1) {
  const View<T> v(s);
  const int K = v.K, H = v.H, nb = int(b1 - b0);
  T *h_in = scratch.values, *c_in = h_in + size_t(nb) * K * H, *gates = c_in + size_t(nb) * K * H;
  for (int64_t t = 0; t < s.steps; ++t) {
    for (int64_t b = b0; b < b1; ++b) {
      const T keep = f.keep ? f.keep[t * s.batch + b] : T(1);
      const T *h = t ? f.h + v.sample(t - 1, b) * K * H : f.h0 + b * K * H;
      const T *c = t ? f.c + v.sample(t - 1, b) * K * H : f.c0 + b * K * H;
      T *to = h_in + (b - b0) * K * H;
      for (int j = 0; j < K * H; ++j) to[j] = keep * h[j];
      if (s.gates == 4)
        for (int j = 0; j < K * H; ++j) c_in[(b - b0) * K * H + j] = keep * c[j];
      attend(v, f, t, b, to);
    }
    for (int k = 0; k < K; ++k) {
      Rows<T> rows{scratch.x, scratch.y};
      for (int64_t b = b0; b < b1; ++b)
        if (s.read_candidate || f.active[v.sample(t, b) * K + k])
          rows.add(h_in + ((b - b0) * K + k) * H, f.acts + (v.saved(t, b) * K + k) * 4 * H);
      multiply<T, RIMS_VECTOR_BYTES>(rows.count, rows.x, H, f.weight_hh + int64_t(k) * H * v.GH, v.GH, v.GH,
                      f.bias_hh + k * v.GH, rows.y);
    }
    for (int64_t b = b0; b < b1; ++b)
      for (int k = 0; k < K; ++k) {
        const bool active = f.active[v.sample(t, b) * K + k];
        const T *h = h_in + ((b - b0) * K + k) * H, *c = c_in + ((b - b0) * K + k) * H;
        T *readable = f.readable + (v.saved(t, b) * K + k) * H;
        T *h_out = f.h + (v.sample(t, b) * K + k) * H, *c_out = f.c + (v.sample(t, b) * K + k) * H;
        if (active || s.read_candidate)
          cell(v, f, t, b, k, h, c, f.acts + (v.saved(t, b) * K + k) * 4 * H, readable, c_out, gates);
        else
          for (int j = 0; j < H; ++j) readable[j] = h[j];
        const T *new_h = active ? readable : h;
        for (int j = 0; j < H; ++j) h_out[j] = new_h[j];
        if (s.gates == 4 && !active)
          for (int j = 0; j < H; ++j) c_out[j] = c[j];
      }
    if (s.message == SILENT) continue;
    for (int k = 0; k < K; ++k) {
      Rows<T> all{scratch.x, scratch.y};
      for (int64_t b = b0; b < b1; ++b) {
        const int64_t at = v.saved(t, b) * K + k;
        all.add(f.readable + at * H, f.qkv + at * v.Q + v.E);
      }
      const T *weight = f.weight_qkv + int64_t(k) * H * v.Q;
      multiply<T, RIMS_VECTOR_BYTES>(all.count, all.x, H, weight + v.E, v.Q, v.Q - v.E, nullptr, all.y);
      Rows<T> readers{scratch.x, scratch.y};
      for (int64_t b = b0; b < b1; ++b) {
        const int64_t at = v.saved(t, b) * K + k;
        if (f.active[v.sample(t, b) * K + k]) readers.add(f.readable + at * H, f.qkv + at * v.Q);
      }
      multiply<T, RIMS_VECTOR_BYTES>(readers.count, readers.x, H, weight, v.Q, v.E, nullptr, readers.y);
    }
    Rows<T> rows{scratch.x, scratch.y};
    for (int k = 0; k < K; ++k) {
      for (int64_t b = b0; b < b1; ++b) {
        const int64_t at = v.saved(t, b) * K + k;
        if (f.active[v.sample(t, b) * K + k]) {
          read_from_all(v, f, t, b, k);
          rows.add(f.read + at * v.V, f.out + at * v.O);
        } else {
          for (int d = 0; d < v.V; ++d) f.read[at * v.V + d] = 0;
          for (int n = 0; n < s.comm_heads; ++n)
            for (int j = 0; j < K; ++j)
              f.weights[((v.saved(t, b) * s.comm_heads + n) * K + k) * K + j] = 0;
        }
      }
      if (s.message == RESIDUAL) { // each RIM's own map
        multiply<T, RIMS_VECTOR_BYTES>(rows.count, rows.x, v.V, f.weight_out + int64_t(k) * v.V * v.O, v.O, v.O,
                        nullptr, rows.y);
        rows.count = 0;
      }
    }
    multiply<T, RIMS_VECTOR_BYTES>(rows.count, rows.x, v.V, f.weight_out, v.O, v.O, f.bias_out, rows.y);
    for (int64_t b = b0; b < b1; ++b)
      for (int k = 0; k < K; ++k)
        if (f.active[v.sample(t, b) * K + k]) {
          const int64_t at = v.saved(t, b) * K + k;
          apply_message(v, f.readable + at * H, f.out + at * v.O, f.h + (v.sample(t, b) * K + k) * H);
        }
  }
}

// Through the message: delta is the gradient of h after it, grad_candidate that of h before it.
template <class T>
void message_backward(const View<T> &v, const T *candidate, const T *out, const T *delta,
                                  T *grad_out, T *grad_candidate) {
  const int H = v.H;
  if (v.s.message == RESIDUAL) {
    for (int j = 0; j < H; ++j) grad_out[j] = grad_candidate[j] = delta[j];
    return;
  }
  const T blend = v.s.message == BOUNDED ? T(1) : T(0);
  for (int j = 0; j < H; ++j) {
    const T m = out[j], g = out[H + j];
    grad_out[j] = delta[j] * g * (T(1) - m * m);
    grad_out[H + j] = delta[j] * (m - blend * candidate[j]) * g * (T(1) - g);
    grad_candidate[j] = delta[j] * (T(1) - blend * g);
  }
}

template <class T>
void read_backward(const View<T> &v, const Forward<T> &f, const Backward<T> &g, int64_t t,
                               int64_t b, int k, const T *grad_read) {
  const Sizes &s = v.s;
  const int dk = int(s.key_size), dv = int(s.value_size), K = v.K;
  const T scale = T(1) / std::sqrt(T(dk));
  const T *qkv = f.qkv + v.sample(t, b) * K * v.Q;
  T *grad = g.grad_qkv + v.sample(t, b) * K * v.Q;
  T grad_weights[256];
  for (int n = 0; n < s.comm_heads; ++n) {
    const T *weights = f.weights + ((v.sample(t, b) * s.comm_heads + n) * K + k) * K;
    const T *grad_o = grad_read + n * dv;
    T mean = 0;
    for (int j = 0; j < K; ++j) {
      const int64_t value = j * v.Q + 2 * v.E + n * dv;
      grad_weights[j] = dot(grad_o, qkv + value, dv);
      mean += weights[j] * grad_weights[j];
      for (int d = 0; d < dv; ++d) grad[value + d] += weights[j] * grad_o[d];
    }
    const T *query = qkv + k * v.Q + n * dk;
    T *grad_query = grad + k * v.Q + n * dk;
    for (int j = 0; j < K; ++j) {
      const T grad_score = scale * weights[j] * (grad_weights[j] - mean);
      const int64_t key = j * v.Q + v.E + n * dk;
      for (int d = 0; d < dk; ++d) grad_query[d] += grad_score * qkv[key + d];
      for (int d = 0; d < dk; ++d) grad[key + d] += grad_score * query[d];
    }
  }
}

// Through the cell: gradients of the gates before their activation, and of h and c directly.
template <class T>
void cell_backward(const View<T> &v, const T *acts, const T *h, const T *c, const T *new_c,
                               const T *grad_candidate, T *grad_c, T *grad_ih, T *grad_hh, T *grad_h) {
  const int H = v.H;
  if (v.s.gates == 3) {
    for (int j = 0; j < H; ++j) {
      const T r = acts[j], z = acts[H + j], n = acts[2 * H + j], state_n = acts[3 * H + j];
      const T grad_n = grad_candidate[j] * (T(1) - z) * (T(1) - n * n);
      const T grad_z = grad_candidate[j] * (h[j] - n) * z * (T(1) - z);
      const T grad_r = grad_n * state_n * r * (T(1) - r);
      grad_ih[j] = grad_hh[j] = grad_r;
      grad_ih[H + j] = grad_hh[H + j] = grad_z;
      grad_ih[2 * H + j] = grad_n;
      grad_hh[2 * H + j] = grad_n * r;
      grad_h[j] = grad_candidate[j] * z;
    }
  } else {
    for (int j = 0; j < H; ++j) {
      const T i = acts[j], forget = acts[H + j], g = acts[2 * H + j], o = acts[3 * H + j];
      const T squashed = tanh_of(new_c[j]);
      const T through = grad_c[j] + grad_candidate[j] * o * (T(1) - squashed * squashed);
      grad_ih[j] = grad_hh[j] = through * g * i * (T(1) - i);
      grad_ih[H + j] = grad_hh[H + j] = through * c[j] * forget * (T(1) - forget);
      grad_ih[2 * H + j] = grad_hh[2 * H + j] = through * i * (T(1) - g * g);
      grad_ih[3 * H + j] = grad_hh[3 * H + j] = grad_candidate[j] * squashed * o * (T(1) - o);
      grad_c[j] = through * forget;
      grad_h[j] = 0;
    }
  }
}

// From gradients of the attention weights to gradients of the scores, in place.
template <class T>
void attention_backward(const View<T> &v, const Forward<T> &f, int64_t t, int64_t b, int n,
                                    T *grad) {
  const int K = v.K;
  const T *a = f.attention + (v.sample(t, b) * v.s.heads + n) * K;
  if (v.s.attention == NULL_ROW) {
    for (int k = 0; k < K; ++k) grad[k] *= a[k] * (T(1) - a[k]);
    return;
  }
  const T *softmax = f.softmax + (v.sample(t, b) * v.s.heads + n) * K;
  if (K > v.s.num_active + 1) {
    const Threshold<T> cut = find_threshold(softmax, K, int(v.s.num_active));
    T mean = 0, of_cut = 0;
    for (int k = 0; k < K; ++k) mean += grad[k] * a[k];
    for (int k = 0; k < K; ++k) {
      grad[k] = softmax[k] <= cut.value ? T(0) : (grad[k] - mean) / cut.norm;
      of_cut -= grad[k];
    }
    grad[cut.index] += of_cut;
  }
  T mean = 0;
  for (int k = 0; k < K; ++k) mean += grad[k] * softmax[k];
  for (int k = 0; k < K; ++k) grad[k] = softmax[k] * (grad[k] - mean);
}

template <class T>
void backward_samples(const Sizes &s, const Forward<T> &f, const Backward<T> &g, Scratch<T> &scratch,
                      int64_t b0, int64_t b1) {
  const View<T> v(s);
  const int K = v.K, H = v.H, GH = v.GH, nb = int(b1 - b0);
  const size_t state = size_t(nb) * K * H;
  T *grad_h = scratch.values, *grad_c = grad_h + state, *h_in = grad_c + state, *c_in = h_in + state;
  T *grad_candidate = c_in + state, *product = grad_candidate + state;
  T *grad_read = product + state, *grad_attention = grad_read + size_t(nb) * K * v.V;
  for (size_t j = 0; j < state; ++j) grad_c[j] = g.grad_c ? g.grad_c[b0 * K * H + j] : T(0);
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    for (int64_t b = b0; b < b1; ++b) {
      const T keep = f.keep ? f.keep[t * s.batch + b] : T(1);
      const T *h = t ? f.h + v.sample(t - 1, b) * K * H : f.h0 + b * K * H;
      const T *c = t ? f.c + v.sample(t - 1, b) * K * H : f.c0 + b * K * H;
      const T *grad_out = g.grad_h + v.sample(t, b) * K * H;
      const int64_t at = (b - b0) * K * H;
      for (int j = 0; j < K * H; ++j) h_in[at + j] = keep * h[j];
      for (int j = 0; j < K * H; ++j) grad_h[at + j] += grad_out[j];
      if (s.gates == 4)
        for (int j = 0; j < K * H; ++j) c_in[at + j] = keep * c[j];
    }
    if (s.message != SILENT) {
      Rows<T> rows{scratch.x, scratch.y};
      for (int k = 0; k < K; ++k) {
        for (int64_t b = b0; b < b1; ++b) {
          const int64_t at = v.sample(t, b) * K + k, local = (b - b0) * K + k;
          T *grad_out = g.grad_out + at * v.O;
          if (!f.active[at]) {
            for (int j = 0; j < v.O; ++j) grad_out[j] = 0;
            continue;
          }
          message_backward(v, f.readable + at * H, f.out + at * v.O, grad_h + local * H, grad_out,
                           grad_candidate + local * H);
          rows.add(grad_out, grad_read + local * v.V);
        }
        if (s.message == RESIDUAL) {
          multiply<T, RIMS_VECTOR_BYTES>(rows.count, rows.x, v.O, g.weight_out_t + int64_t(k) * v.V * v.O, v.V, v.V,
                          nullptr, rows.y);
          rows.count = 0;
        }
      }
      multiply<T, RIMS_VECTOR_BYTES>(rows.count, rows.x, v.O, g.weight_out_t, v.V, v.V, nullptr, rows.y);
      for (int64_t b = b0; b < b1; ++b) {
        T *grad_qkv = g.grad_qkv + v.sample(t, b) * K * v.Q;
        for (int j = 0; j < K * v.Q; ++j) grad_qkv[j] = 0;
        for (int k = 0; k < K; ++k)
          if (f.active[v.sample(t, b) * K + k])
            read_backward(v, f, g, t, b, k, grad_read + ((b - b0) * K + k) * v.V);
      }
      for (int k = 0; k < K; ++k) {
        Rows<T> sources{scratch.x, scratch.y};
        for (int64_t b = b0; b < b1; ++b)
          // Nothing flows back into a candidate that is thrown away.
          if (!s.read_candidate || f.active[v.sample(t, b) * K + k])
            sources.add(g.grad_qkv + (v.sample(t, b) * K + k) * v.Q, product + ((b - b0) * K + k) * H);
        multiply<T, RIMS_VECTOR_BYTES>(sources.count, sources.x, v.Q, g.weight_qkv_t + int64_t(k) * v.Q * H, H, H,
                        nullptr, sources.y);
      }
      for (int64_t b = b0; b < b1; ++b)
        for (int k = 0; k < K; ++k) {
          const int64_t local = ((b - b0) * K + k) * H;
          const bool active = f.active[v.sample(t, b) * K + k];
          if (!active && s.read_candidate) continue;
          T *to = active ? grad_candidate + local : grad_h + local;
          for (int j = 0; j < H; ++j) to[j] += product[local + j];
        }
    } else {
      for (size_t j = 0; j < state; ++j) grad_candidate[j] = grad_h[j];
    }
    for (int k = 0; k < K; ++k) {
      Rows<T> rows{scratch.x, scratch.y};
      for (int64_t b = b0; b < b1; ++b) {
        const int64_t at = v.sample(t, b) * K + k, local = ((b - b0) * K + k) * H;
        T *grad_ih = g.grad_gates_ih + at * GH, *grad_hh = g.grad_gates_hh + at * GH;
        if (!f.active[at]) {
          for (int j = 0; j < GH; ++j) grad_ih[j] = grad_hh[j] = 0;
          continue;
        }
        cell_backward(v, f.acts + at * 4 * H, h_in + local, c_in + local, f.c + at * H,
                      grad_candidate + local, grad_c + local, grad_ih, grad_hh, grad_h + local);
        rows.add(grad_hh, product + local);
      }
      multiply<T, RIMS_VECTOR_BYTES>(rows.count, rows.x, GH, g.weight_hh_t + int64_t(k) * GH * H, H, H, nullptr, rows.y);
      for (int64_t b = b0; b < b1; ++b)
        if (f.active[v.sample(t, b) * K + k])
          for (int j = 0; j < H; ++j) grad_h[((b - b0) * K + k) * H + j] += product[((b - b0) * K + k) * H + j];
    }
    for (int64_t b = b0; b < b1; ++b) {
      const T keep = f.keep ? f.keep[t * s.batch + b] : T(1);
      for (int n = 0; n < s.heads; ++n) {
        for (int k = 0; k < K; ++k) {
          const int64_t at = v.sample(t, b) * K + k, hoisted = v.hoisted(n, k, t, b);
          const T *grad_ih = g.grad_gates_ih + at * GH;
          T *grad_in = g.grad_gates_in + hoisted * GH;
          const T weight = s.attention == NO_ATTENTION ? T(1)
                           : f.active[at] ? f.attention[(v.sample(t, b) * s.heads + n) * K + k]
                                          : T(0);
          for (int j = 0; j < GH; ++j) grad_in[j] = weight * grad_ih[j];
          grad_attention[k] = f.active[at] ? dot(grad_ih, f.gates_in + hoisted * GH, GH) : T(0);
        }
        if (s.attention == NO_ATTENTION) continue;
        attention_backward(v, f, t, b, n, grad_attention);
        for (int k = 0; k < K; ++k) {
          const int64_t hoisted = v.hoisted(n, k, t, b) * H, local = ((b - b0) * K + k) * H;
          const T *scores_in = f.scores_in + hoisted;
          T *grad_scores_in = g.grad_scores_in + hoisted;
          for (int j = 0; j < H; ++j) grad_scores_in[j] = grad_attention[k] * h_in[local + j];
          for (int j = 0; j < H; ++j) grad_h[local + j] += grad_attention[k] * scores_in[j];
        }
      }
      const int64_t local = (b - b0) * K * H;
      for (int j = 0; j < K * H; ++j) grad_h[local + j] *= keep;
      for (int j = 0; j < K * H; ++j) grad_c[local + j] *= keep;
    }
  }
  for (size_t j = 0; j < state; ++j) g.grad_h0[b0 * K * H + j] = grad_h[j];
  for (size_t j = 0; j < state; ++j) g.grad_c0[b0 * K * H + j] = grad_c[j];
}
