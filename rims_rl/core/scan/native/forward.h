// The scan of some samples, forward; what is computed stands in `RIM._step`.
//
// Included by kernel.h.

// h is the state before; state gates come in acts, which leaves with what the backward pass needs.
template <class T>
void gru_cell(int H, const T *__restrict gates, T *__restrict r, T *__restrict z, T *__restrict n,
              T *__restrict state_n, const T *__restrict h, T *__restrict candidate) {
  for (int j = 0; j < H; ++j) r[j] = sigmoid(gates[j] + r[j]);
  for (int j = 0; j < H; ++j) z[j] = sigmoid(gates[H + j] + z[j]);
  for (int j = 0; j < H; ++j) {
    const T of_state = n[j];
    state_n[j] = of_state;
    n[j] = tanh_of(gates[2 * H + j] + r[j] * of_state);
    candidate[j] = n[j] + z[j] * (h[j] - n[j]);
  }
}

template <class T>
void lstm_cell(int H, const T *__restrict gates, T *__restrict i, T *__restrict f, T *__restrict g,
               T *__restrict o, const T *__restrict c, T *__restrict new_c,
               T *__restrict candidate) {
  for (int j = 0; j < H; ++j) i[j] = sigmoid(gates[j] + i[j]);
  for (int j = 0; j < H; ++j) f[j] = sigmoid(gates[H + j] + f[j]);
  for (int j = 0; j < H; ++j) g[j] = tanh_of(gates[2 * H + j] + g[j]);
  for (int j = 0; j < H; ++j) o[j] = sigmoid(gates[3 * H + j] + o[j]);
  for (int j = 0; j < H; ++j) {
    new_c[j] = f[j] * c[j] + i[j] * g[j];
    candidate[j] = o[j] * tanh_of(new_c[j]);
  }
}

template <class T> void squash_message(int H, T *__restrict content, T *__restrict gate) {
  for (int j = 0; j < H; ++j) content[j] = tanh_of(content[j]);
  for (int j = 0; j < H; ++j) gate[j] = sigmoid(gate[j]);
}

template <class T>
void apply_message(int H, T blend, const T *__restrict before, const T *__restrict content,
                   const T *__restrict gate, T move, T *__restrict h) {
  for (int j = 0; j < H; ++j) h[j] = before[j] + move * gate[j] * (content[j] - blend * before[j]);
}

// x goes back to where it came from but for a part of the way.
template <class T> void move_part(int H, T part, const T *__restrict from, T *__restrict x) {
  for (int j = 0; j < H; ++j) x[j] = from[j] + part * (x[j] - from[j]);
}

template <class T> class ForwardPass {
  const Layout<T> v;
  const Sizes &s;
  const Forward<T> &f;
  const int64_t b0, b1;
  const int K, H;
  Buffer<T> h_copies, c_copies, gates, scores;
  std::vector<const T *> h_in, c_in; // (nb) of the step: (K, H) each
  std::vector<int> slots;            // (nb, K)
  std::vector<const T *> row_x, row_start;
  std::vector<T *> row_y;

  Rows<T> rows() { return {row_x.data(), row_y.data(), row_start.data()}; }
  int slot(int64_t b, int k) const { return slots[(b - b0) * K + k]; }
  T *readable(int64_t t, int64_t b, int k) const {
    return f.readable + (v.saved(t, b) * K + k) * H;
  }
  T *acts(int64_t t, int64_t b, int k) const {
    return f.acts + (v.saved(t, b) * v.S + v.cell_row(k, slot(b, k))) * 4 * H;
  }
  T *message(int64_t t, int64_t b, int slot) const {
    return f.message + (v.saved(t, b) * v.A + slot) * v.O;
  }
  T move(int64_t t, int64_t b, int k) const {
    return s.selection == Selection::soft ? f.move[v.saved(t, b) * K + k] : T(1);
  }

  void enter(int64_t t) {
    for (int64_t b = b0; b < b1; ++b) {
      const int64_t at = b - b0, earlier = v.sample(t - 1, b) * K * H;
      const T keep = f.keep ? f.keep[v.sample(t, b)] : T(1);
      h_in[at] = entering(t ? f.h + earlier : f.h0 + b * K * H, keep, K * H, &h_copies[at * K * H]);
      if (s.gates == 4)
        c_in[at] =
            entering(t ? f.c + earlier : f.c0 + b * K * H, keep, K * H, &c_copies[at * K * H]);
      attend(t, b);
      number_active(f.active_mask + v.sample(t, b) * K, K, &slots[at * K]);
    }
  }

  void attend(int64_t t, int64_t b) {
    uint8_t *active = f.active_mask + v.sample(t, b) * K;
    if (s.input_attention == InputAttention::none) {
      std::memset(active, 1, K);
      return;
    }
    T total[RIMS_MAX_RIMS] = {};
    for (int n = 0; n < s.input_heads; ++n) {
      const int64_t at = (v.saved(t, b) * s.input_heads + n) * K;
      T *a = f.input_attention + at;
      for (int k = 0; k < K; ++k)
        a[k] = dot(h_in[b - b0] + k * H, f.scores_in + v.hoisted(n, k, t, b) * H, H);
      for (int k = 0; k < K && f.score_bias; ++k) a[k] += f.score_bias[v.hoisted(n, k, t, b)];
      if (s.input_attention == InputAttention::null)
        for (int k = 0; k < K; ++k) a[k] = sigmoid(a[k]);
      else
        compete(a, f.softmax + at, K, v.A);
      for (int k = 0; k < K; ++k) total[k] += a[k];
    }
    select_active(total, K, v.A, active);
    if (s.selection == Selection::soft)
      soft_edge(total, K, v.A, active, *f.edge_width * T(s.input_heads),
                f.move + v.saved(t, b) * K);
  }

  void cells(int64_t t) {
    for (int k = 0; k < K; ++k) {
      Rows<T> products = rows();
      for (int64_t b = b0; b < b1; ++b)
        if (s.read_candidate || slot(b, k) >= 0)
          products.add(h_in[b - b0] + k * H, acts(t, b, k), f.bias_hh + k * v.GH);
      multiply(products, H, f.weight_hh + int64_t(k) * H * v.GH, v.GH, v.GH);
      for (int64_t b = b0; b < b1; ++b) cell(t, b, k);
    }
  }

  void cell(int64_t t, int64_t b, int k) {
    const bool active = slot(b, k) >= 0;
    const T *h = h_in[b - b0] + k * H, *c = s.gates == 4 ? c_in[b - b0] + k * H : nullptr;
    T *candidate = readable(t, b, k), *h_out = f.h + (v.sample(t, b) * K + k) * H;
    T *c_out = s.gates == 4 ? f.c + (v.sample(t, b) * K + k) * H : nullptr;
    if (active || s.read_candidate) {
      weigh_input(t, b, k);
      T *a = acts(t, b, k);
      if (s.gates == 3)
        gru_cell(H, gates.data(), a, a + H, a + 2 * H, a + 3 * H, h, candidate);
      else
        lstm_cell(H, gates.data(), a, a + H, a + 2 * H, a + 3 * H, c, c_out, candidate);
      if (active && move(t, b, k) != T(1)) {
        move_part(H, move(t, b, k), h, candidate);
        if (c) move_part(H, move(t, b, k), c, c_out);
      }
    } else {
      std::memcpy(candidate, h, H * sizeof(T));
    }
    if (!active || s.communication == Communication::none)
      std::memcpy(h_out, active ? candidate : h, H * sizeof(T));
    if (!active && c) std::memcpy(c_out, c, H * sizeof(T));
  }

  // The input's part of the gates, with the attention it gets.
  void weigh_input(int64_t t, int64_t b, int k) {
    const T *bias = f.bias_ih + k * v.GH;
    T *__restrict sum = gates.data();
    for (int n = 0; n < s.input_heads; ++n) {
      const T *__restrict from = n ? sum : bias;
      const T *__restrict in = f.gates_in + v.hoisted(n, k, t, b) * v.GH;
      const int64_t at = (v.saved(t, b) * s.input_heads + n) * K + k;
      const T weight = s.input_attention == InputAttention::none
                           ? T(1)
                           : reading_weight(f.input_attention[at], s.read_null);
      for (int j = 0; j < v.GH; ++j) sum[j] = from[j] + weight * in[j];
    }
  }

  void communicate(int64_t t) {
    for (int k = 0; k < K; ++k) {
      const T *weight = f.weight_qkv + int64_t(k) * H * v.Q;
      Rows<T> all = rows();
      for (int64_t b = b0; b < b1; ++b)
        all.add(readable(t, b, k), f.sources + (v.saved(t, b) * K + k) * (v.E + v.V));
      multiply(all, H, weight + v.E, v.Q, v.E + v.V);
      Rows<T> readers = rows();
      for (int64_t b = b0; b < b1; ++b)
        if (slot(b, k) >= 0)
          readers.add(readable(t, b, k), f.queries + (v.saved(t, b) * v.A + slot(b, k)) * v.E);
      multiply(readers, H, weight, v.Q, v.E);
    }
    for (int64_t b = b0; b < b1; ++b) read_from_all(t, b);
    send(t);
    for (int64_t b = b0; b < b1; ++b)
      for (int k = 0; k < K; ++k)
        if (slot(b, k) >= 0)
          finish(readable(t, b, k), message(t, b, slot(b, k)), move(t, b, k),
                 f.h + (v.sample(t, b) * K + k) * H);
  }

  void read_from_all(int64_t t, int64_t b) {
    const int dk = int(s.comm_key_size), dv = int(s.comm_value_size), C = int(s.comm_heads),
              row = v.E + v.V;
    const T scale = T(1) / std::sqrt(T(dk));
    const T *sources = f.sources + v.saved(t, b) * K * row,
            *queries = f.queries + v.saved(t, b) * v.A * v.E;
    T *read = f.read + v.saved(t, b) * v.A * v.V;
    for (int n = 0; n < C; ++n)
      for (int a = 0; a < v.A; ++a)
        for (int j = 0; j < K; ++j)
          scores[(n * v.A + a) * K + j] =
              scale * dot(queries + a * v.E + n * dk, sources + j * row + n * dk, dk);
    softmax_rows(scores.data(), C * v.A, K);
    for (int n = 0; n < C; ++n)
      for (int a = 0; a < v.A; ++a)
        weighted_sum(K, &scores[(n * v.A + a) * K], 1, sources + v.E + n * dv, row, dv,
                     read + a * v.V + n * dv);
    T *weights = f.communication_attention + v.saved(t, b) * C * K * K;
    for (int n = 0; n < C; ++n)
      for (int k = 0; k < K; ++k, weights += K)
        for (int j = 0; j < K; ++j)
          weights[j] = slot(b, k) < 0 ? T(0) : scores[(n * v.A + slot(b, k)) * K + j];
  }

  // From what was read to the message and its gate, before their activation.
  void send(int64_t t) {
    if (!f.weight_out) return pass_on(t);
    const bool own = s.communication == Communication::residual; // each RIM has its own map
    Rows<T> products = rows();
    for (int k = 0; k < K; ++k) {
      for (int64_t b = b0; b < b1; ++b)
        if (slot(b, k) >= 0)
          products.add(f.read + (v.saved(t, b) * v.A + slot(b, k)) * v.V, message(t, b, slot(b, k)),
                       f.bias_out);
      if (!own && k + 1 < K) continue;
      multiply(products, v.V, f.weight_out + (own ? int64_t(k) * v.V * v.O : 0), v.O, v.O);
      products.count = 0;
    }
  }

  // Without an output map, what was read is the message.
  void pass_on(int64_t t) {
    for (int64_t b = b0; b < b1; ++b)
      for (int a = 0; a < v.A; ++a) {
        const T *__restrict read = f.read + (v.saved(t, b) * v.A + a) * v.V;
        T *__restrict to = message(t, b, a);
        for (int j = 0; j < v.O; ++j) to[j] = f.bias_out ? read[j] + f.bias_out[j] : read[j];
      }
  }

  void finish(const T *__restrict before, T *__restrict message, T move, T *__restrict h) {
    if (s.communication == Communication::residual) {
      for (int j = 0; j < H; ++j) h[j] = before[j] + move * message[j];
      return;
    }
    squash_message(H, message, message + H);
    const T blend = T(s.communication == Communication::bounded);
    apply_message(H, blend, before, message, message + H, move, h);
  }

public:
  ForwardPass(const Sizes &sizes, const Forward<T> &arrays, int64_t begin, int64_t end)
      : v(sizes), s(sizes), f(arrays), b0(begin), b1(end), K(v.K), H(v.H),
        h_copies((end - begin) * v.K * v.H), c_copies(sizes.gates == 4 ? h_copies.size() : 0),
        gates(v.GH), scores(sizes.comm_heads * v.A * v.K), h_in(end - begin), c_in(end - begin),
        slots((end - begin) * v.K), row_x(slots.size()), row_start(slots.size()),
        row_y(slots.size()) {}

  void run() {
    for (int64_t t = 0; t < s.steps; ++t) {
      enter(t);
      cells(t);
      if (s.communication != Communication::none) communicate(t);
    }
  }
};
