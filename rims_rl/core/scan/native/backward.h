// The scan of some samples, backward.
//
// Included by kernel.h.

// Through the message: delta is the gradient of h after it, grad_before that of h before it.
template <class T>
void message_backward(int H, T blend, const T *__restrict before, const T *__restrict content,
                      const T *__restrict gate, T move, const T *__restrict delta,
                      T *__restrict grad_content, T *__restrict grad_gate,
                      T *__restrict grad_before) {
  for (int j = 0; j < H; ++j) {
    const T m = content[j], g = gate[j], d = delta[j], of_content = d * move * g;
    grad_content[j] = of_content * (T(1) - m * m);
    grad_gate[j] = of_content * (m - blend * before[j]) * (T(1) - g);
    grad_before[j] = d - blend * of_content;
  }
}

// Gradients of the gates before their activation, and of h directly. The state's part of gate n
// has its own.
template <class T>
void gru_backward(int H, const T *__restrict acts, const T *__restrict h, const T *__restrict grad,
                  T *__restrict grad_r, T *__restrict grad_z, T *__restrict grad_state_n,
                  T *__restrict grad_n, T *__restrict grad_h) {
  const T *__restrict r = acts, *__restrict z = acts + H, *__restrict n = acts + 2 * H,
                      *__restrict state_n = acts + 3 * H;
  for (int j = 0; j < H; ++j) {
    const T through = grad[j] * z[j], of_n = (grad[j] - through) * (T(1) - n[j] * n[j]);
    const T of_state_n = of_n * r[j];
    grad_n[j] = of_n;
    grad_state_n[j] = of_state_n;
    grad_r[j] = of_state_n * state_n[j] * (T(1) - r[j]);
    grad_z[j] = through * (h[j] - n[j]) * (T(1) - z[j]);
    grad_h[j] = through;
  }
}

// The same, and grad_c becomes the gradient of the cell before.
template <class T>
void lstm_backward(int H, const T *__restrict acts, const T *__restrict c,
                   const T *__restrict new_c, const T *__restrict grad, T *__restrict grad_c,
                   T *__restrict grad_i, T *__restrict grad_f, T *__restrict grad_g,
                   T *__restrict grad_o) {
  const T *__restrict i = acts, *__restrict f = acts + H, *__restrict g = acts + 2 * H,
                      *__restrict o = acts + 3 * H;
  for (int j = 0; j < H; ++j) {
    const T squashed = tanh_of(new_c[j]);
    const T through = grad_c[j] + grad[j] * o[j] * (T(1) - squashed * squashed);
    grad_i[j] = through * g[j] * i[j] * (T(1) - i[j]);
    grad_f[j] = through * c[j] * f[j] * (T(1) - f[j]);
    grad_g[j] = through * i[j] * (T(1) - g[j] * g[j]);
    grad_o[j] = grad[j] * squashed * o[j] * (T(1) - o[j]);
    grad_c[j] = through * f[j];
  }
}

// What the cell would have moved to, from its activations and the state before.
template <class T>
void gru_candidate(int H, const T *__restrict acts, const T *__restrict h,
                   T *__restrict candidate) {
  const T *__restrict z = acts + H, *__restrict n = acts + 2 * H;
  for (int j = 0; j < H; ++j) candidate[j] = n[j] + z[j] * (h[j] - n[j]);
}
template <class T>
void lstm_candidate(int H, const T *__restrict acts, const T *__restrict c, T *__restrict new_c,
                    T *__restrict candidate) {
  const T *__restrict i = acts, *__restrict f = acts + H, *__restrict g = acts + 2 * H,
                      *__restrict o = acts + 3 * H;
  for (int j = 0; j < H; ++j) {
    new_c[j] = f[j] * c[j] + i[j] * g[j];
    candidate[j] = o[j] * tanh_of(new_c[j]);
  }
}

// y = a + factor * x
template <class T>
void add_scaled(int size, const T *__restrict a, T factor, const T *__restrict x, T *__restrict y) {
  for (int j = 0; j < size; ++j) y[j] = a[j] + factor * x[j];
}
template <class T> void accumulate(int size, T factor, const T *__restrict x, T *__restrict y) {
  for (int j = 0; j < size; ++j) y[j] += factor * x[j];
}
template <class T> void scale(int size, T factor, const T *__restrict x, T *__restrict y) {
  for (int j = 0; j < size; ++j) y[j] = factor * x[j];
}

template <class T> class BackwardPass {
  const Layout<T> v;
  const Sizes &s;
  const Forward<T> &f;
  const Backward<T> &g;
  WeightSums<T> &sums;
  const int64_t b0, b1;
  const int K, H, nb, chunk; // chunk: steps between two additions to the weights' gradients
  int filled = 0;            // steps of the chunk done so far
  // Rows of the chunk, (chunk * nb) each; their lengths are whole multiples of PAD.
  const int gates_row, query_row, source_row, out_row;
  Buffer<T> h_copies, grad_gates, grad_queries, grad_sources, grad_out;
  std::vector<const T *> h_in;
  std::vector<int> slots; // (chunk * nb, K)
  // Of the step.
  Buffer<T> delta, carried_h, carried_c, c_copies;     // (nb, K, H)
  Buffer<T> grad_candidate, grad_partial, grad_direct; // (nb, K, H)
  Buffer<T> grad_read;                                 // (nb, A, V)
  Buffer<T> weights, grad_scores;                      // (A, K)
  Buffer<T> grad_attentions;                           // (nb, N, K)
  Buffer<T> grad_moves;                                // (nb, K) with a soft edge
  Buffer<T> change, candidate, candidate_c, partial;   // (H) of a RIM that moves part of the way
  std::vector<const T *> c_in;
  std::vector<const T *> row_x, row_start;
  std::vector<T *> row_y;

  Rows<T> rows() { return {row_x.data(), row_y.data(), row_start.data()}; }
  // Places within the chunk, of the step at work and of any.
  int64_t place(int64_t b) const { return int64_t(filled) * nb + b - b0; }
  int slot_at(int64_t place, int k) const { return slots[place * K + k]; }
  int slot(int64_t b, int k) const { return slot_at(place(b), k); }
  T *gates_at(int64_t place, int slot) { return &grad_gates[(place * v.A + slot) * gates_row]; }
  T *queries_at(int64_t place, int slot) { return &grad_queries[(place * v.A + slot) * query_row]; }
  T *sources_at(int64_t place, int k) { return &grad_sources[(place * K + k) * source_row]; }
  T *out_at(int64_t place, int slot) { return &grad_out[(place * v.A + slot) * out_row]; }
  int64_t local(int64_t b, int k) const { return ((b - b0) * K + k) * H; }
  const T *readable(int64_t t, int64_t b, int k) const {
    return f.readable + (v.sample(t, b) * K + k) * H;
  }
  const T *message(int64_t t, int64_t b, int slot) const {
    return f.message + (v.sample(t, b) * v.A + slot) * v.O;
  }
  T move(int64_t t, int64_t b, int k) const {
    return s.selection == Selection::soft ? f.move[v.sample(t, b) * K + k] : T(1);
  }

  void enter(int64_t t) {
    for (int64_t b = b0; b < b1; ++b) {
      const int64_t earlier = v.sample(t - 1, b) * K * H, at = place(b);
      const T keep = f.keep ? f.keep[v.sample(t, b)] : T(1);
      h_in[at] = entering(t ? f.h + earlier : f.h0 + b * K * H, keep, K * H, &h_copies[at * K * H]);
      if (s.gates == 4)
        c_in[b - b0] =
            entering(t ? f.c + earlier : f.c0 + b * K * H, keep, K * H, &c_copies[local(b, 0)]);
      add_scaled(K * H, &carried_h[local(b, 0)], T(1), g.grad_h + v.sample(t, b) * K * H,
                 &delta[local(b, 0)]);
      number_active(f.active_mask + v.sample(t, b) * K, K, &slots[at * K]);
    }
  }

  // Leaves the gradient of active candidates, and in carried_h that of the others' states.
  void communicate(int64_t t) {
    receive(t);
    for (int64_t b = b0; b < b1; ++b) read_backward(t, b);
    for (int k = 0; k < K; ++k) {
      const T *weight = g.weight_qkv_t + int64_t(k) * v.Q * H;
      Rows<T> all = rows();
      for (int64_t b = b0; b < b1; ++b) {
        const int64_t at = local(b, k);
        if (slot(b, k) >= 0)
          all.add(sources_at(place(b), k), &grad_partial[at], &grad_direct[at]);
        else if (s.read_candidate) // nothing flows back into a candidate that is thrown away
          std::memcpy(&carried_h[at], &delta[at], H * sizeof(T));
        else
          all.add(sources_at(place(b), k), &carried_h[at], &delta[at]);
      }
      multiply(all, v.E + v.V, weight + int64_t(v.E) * H, H, H);
      Rows<T> readers = rows();
      for (int64_t b = b0; b < b1; ++b)
        if (slot(b, k) >= 0)
          readers.add(queries_at(place(b), slot(b, k)), &grad_candidate[local(b, k)],
                      &grad_partial[local(b, k)]);
      multiply(readers, v.E, weight, H, H);
    }
  }

  // From the state to what was read; the candidate's own part of the gradient goes to grad_direct.
  void receive(int64_t t) {
    const bool own = s.communication == Communication::residual;
    Rows<T> products = rows();
    for (int k = 0; k < K; ++k) {
      for (int64_t b = b0; b < b1; ++b) {
        if (slot(b, k) < 0) continue;
        const int64_t at = local(b, k);
        T *grad = out_at(place(b), slot(b, k));
        const T *said = message(t, b, slot(b, k)), part = move(t, b, k);
        if (s.selection == Selection::soft)
          grad_moves[(b - b0) * K + k] =
              part < T(1) ? move_gradient(said, readable(t, b, k), &delta[at]) : T(0);
        if (own) {
          scale(H, part, &delta[at], grad);
          std::memcpy(&grad_direct[at], &delta[at], H * sizeof(T));
        } else {
          const T blend = T(s.communication == Communication::bounded);
          message_backward(H, blend, readable(t, b, k), said, said + H, part, &delta[at], grad,
                           grad + H, &grad_direct[at]);
          if (sums.bias_out) accumulate(v.O, T(1), grad, sums.bias_out);
        }
        T *of_read = &grad_read[((b - b0) * v.A + slot(b, k)) * v.V];
        if (g.weight_out_t)
          products.add(grad, of_read);
        else
          std::memcpy(of_read, grad, v.O * sizeof(T));
      }
      if (!g.weight_out_t || (!own && k + 1 < K)) continue;
      multiply(products, v.O, g.weight_out_t + (own ? int64_t(k) * v.V * v.O : 0), v.V, v.V);
      products.count = 0;
    }
  }

  // The gradient of how far a RIM moves, through its message.
  T move_gradient(const T *said, const T *before, const T *grad) {
    if (s.communication == Communication::residual) return dot(grad, said, H);
    const T blend = T(s.communication == Communication::bounded);
    for (int j = 0; j < H; ++j) change[j] = said[H + j] * (said[j] - blend * before[j]);
    return dot(grad, change.data(), H);
  }

  void read_backward(int64_t t, int64_t b) {
    const int dk = int(s.comm_key_size), dv = int(s.comm_value_size), C = int(s.comm_heads),
              row = v.E + v.V;
    const T scale = T(1) / std::sqrt(T(dk));
    const T *sources = f.sources + v.sample(t, b) * K * row,
            *queries = f.queries + v.sample(t, b) * v.A * v.E;
    const T *of_read = &grad_read[(b - b0) * v.A * v.V];
    for (int n = 0; n < C; ++n) {
      const T *saved = f.communication_attention + (v.sample(t, b) * C + n) * K * K;
      for (int k = 0; k < K; ++k)
        if (slot(b, k) >= 0) std::memcpy(&weights[slot(b, k) * K], saved + k * K, K * sizeof(T));
      for (int a = 0; a < v.A; ++a) {
        const T *w = &weights[a * K];
        T *grad = &grad_scores[a * K], mean = 0;
        for (int j = 0; j < K; ++j)
          grad[j] = dot(of_read + a * v.V + n * dv, sources + j * row + v.E + n * dv, dv);
        for (int j = 0; j < K; ++j) mean += w[j] * grad[j];
        for (int j = 0; j < K; ++j) grad[j] = scale * w[j] * (grad[j] - mean);
        weighted_sum(K, grad, 1, sources + n * dk, row, dk, queries_at(place(b), a) + n * dk);
      }
      for (int j = 0; j < K; ++j) {
        T *grad = sources_at(place(b), j);
        weighted_sum(v.A, &grad_scores[j], K, queries + n * dk, v.E, dk, grad + n * dk);
        weighted_sum(v.A, &weights[j], K, of_read + n * dv, v.V, dv, grad + v.E + n * dv);
      }
    }
  }

  void skip_communication() {
    for (int64_t b = b0; b < b1; ++b)
      for (int k = 0; k < K; ++k) {
        T *to = slot(b, k) >= 0 ? grad_candidate.data() : carried_h.data();
        std::memcpy(to + local(b, k), &delta[local(b, k)], H * sizeof(T));
        if (s.selection == Selection::soft) grad_moves[(b - b0) * K + k] = 0;
      }
  }

  void cells(int64_t t) {
    for (int k = 0; k < K; ++k) {
      Rows<T> products = rows();
      for (int64_t b = b0; b < b1; ++b) {
        if (slot(b, k) < 0) continue;
        const int64_t at = local(b, k);
        T *grad = gates_at(place(b), slot(b, k));
        const T *acts = f.acts + (v.sample(t, b) * v.S + v.cell_row(k, slot(b, k))) * 4 * H;
        const T part = move(t, b, k);
        const bool partly = part < T(1), gru = s.gates == 3;
        if (partly) move_part_backward(b, k, part, acts);
        const T *of_candidate = partly ? partial.data() : &grad_candidate[at];
        if (gru)
          gru_backward(H, acts, h_in[place(b)] + k * H, of_candidate, grad, grad + H, grad + 2 * H,
                       grad + 3 * H, &grad_direct[at]);
        else
          lstm_backward(H, acts, c_in[b - b0] + k * H,
                        partly ? candidate_c.data() : f.c + (v.sample(t, b) * K + k) * H,
                        of_candidate, &carried_c[at], grad, grad + H, grad + 2 * H, grad + 3 * H);
        if (partly) {
          if (gru)
            accumulate(H, T(1) - part, &grad_candidate[at], &grad_direct[at]);
          else
            scale(H, T(1) - part, &grad_candidate[at], &grad_direct[at]);
          if (!gru) accumulate(H, T(1), change.data(), &carried_c[at]);
        }
        if (sums.bias) accumulate(4 * H, T(1), grad, sums.bias + k * 4 * H);
        products.add(grad, &carried_h[at], gru || partly ? &grad_direct[at] : nullptr);
        leave(t, b, k);
      }
      multiply(products, v.GH, g.weight_hh_t + int64_t(k) * v.GH * H, H, H);
    }
  }

  // Of a RIM that moves part of the way: leaves the gradient of its candidate in `partial`, the
  // part of the cell's that stays in `change`, and adds to that of the way.
  void move_part_backward(int64_t b, int k, T part, const T *acts) {
    const int64_t at = local(b, k);
    const T *h = h_in[place(b)] + k * H, *grad = &grad_candidate[at];
    T &of_part = grad_moves[(b - b0) * K + k];
    if (s.gates == 4) {
      const T *c = c_in[b - b0] + k * H;
      T *grad_c = &carried_c[at];
      lstm_candidate(H, acts, c, candidate_c.data(), candidate.data());
      add_scaled(H, candidate_c.data(), T(-1), c, change.data());
      of_part += dot(grad_c, change.data(), H);
      scale(H, T(1) - part, grad_c, change.data());
      for (int j = 0; j < H; ++j) grad_c[j] *= part;
    } else {
      gru_candidate(H, acts, h, candidate.data());
    }
    add_scaled(H, candidate.data(), T(-1), h, partial.data());
    of_part += dot(grad, partial.data(), H);
    scale(H, part, grad, partial.data());
  }

  // Gradients of the input's part of the gates, and of the attention on it.
  void leave(int64_t t, int64_t b, int k) {
    const T *grad = gates_at(place(b), slot(b, k));
    const int shared = s.gates == 3 ? 2 * H : 4 * H; // the gates whose two parts have one gradient
    for (int n = 0; n < s.input_heads; ++n) {
      const int64_t hoisted = v.hoisted(n, k, t, b) * v.GH;
      const T *in = f.gates_in + hoisted;
      T weight = 1;
      if (s.input_attention != InputAttention::none) {
        T *grad_attention = &grad_attentions[((b - b0) * s.input_heads + n) * K + k];
        *grad_attention = 0;
        const int64_t at = (v.sample(t, b) * s.input_heads + n) * K + k;
        weight = reading_weight(f.input_attention[at], s.read_null);
        if (s.read_null) {
          *grad_attention = dot(grad, in, shared);
          if (s.gates == 3) *grad_attention += dot(grad + 3 * H, in + shared, H);
        }
      }
      if (!g.gates_in) continue;
      scale(shared, weight, grad, g.gates_in + hoisted);
      if (s.gates == 3) scale(H, weight, grad + 3 * H, g.gates_in + hoisted + shared);
    }
  }

  // Adds to the gradients of the attention what comes through how far each RIM moves.
  void edge_backward(int64_t t, int64_t b) {
    T total[RIMS_MAX_RIMS] = {};
    for (int n = 0; n < s.input_heads; ++n)
      for (int k = 0; k < K; ++k)
        total[k] += f.input_attention[(v.sample(t, b) * s.input_heads + n) * K + k];
    const int loser = first_loser(total, K, v.A);
    for (int k = 0; k < K && loser >= 0; ++k) {
      if (slot(b, k) < 0 || !(move(t, b, k) < T(1))) continue;
      const T grad = grad_moves[(b - b0) * K + k] / (*f.edge_width * T(s.input_heads));
      for (int n = 0; n < s.input_heads; ++n) {
        T *of_head = &grad_attentions[((b - b0) * s.input_heads + n) * K];
        of_head[k] += grad;
        of_head[loser] -= grad;
      }
    }
  }

  void attend(int64_t t, int64_t b) {
    for (int n = 0; n < s.input_heads; ++n)
      for (int k = 0; k < K; ++k)
        if (slot(b, k) < 0) grad_attentions[((b - b0) * s.input_heads + n) * K + k] = 0;
    if (s.selection == Selection::soft) edge_backward(t, b);
    for (int n = 0; n < s.input_heads; ++n) {
      const int64_t at = (v.sample(t, b) * s.input_heads + n) * K;
      const T *a = f.input_attention + at;
      T *grad = &grad_attentions[((b - b0) * s.input_heads + n) * K];
      if (s.input_attention == InputAttention::null)
        for (int k = 0; k < K; ++k) grad[k] *= a[k] * (T(1) - a[k]);
      else
        compete_backward(a, f.softmax + at, K, v.A, grad);
      for (int k = 0; k < K; ++k) {
        const int64_t hoisted = v.hoisted(n, k, t, b) * H;
        accumulate(H, grad[k], f.scores_in + hoisted, &carried_h[local(b, k)]);
        if (g.scores_in) scale(H, grad[k], h_in[place(b)] + k * H, g.scores_in + hoisted);
        if (g.score_bias) g.score_bias[v.hoisted(n, k, t, b)] = grad[k];
      }
    }
  }

  void inputs(int64_t t) {
    for (int64_t b = b0; b < b1; ++b) {
      for (int k = 0; k < K && g.gates_in; ++k)
        for (int n = 0; n < s.input_heads && slot(b, k) < 0; ++n)
          std::memset(g.gates_in + v.hoisted(n, k, t, b) * v.GH, 0, v.GH * sizeof(T));
      if (s.input_attention != InputAttention::none) attend(t, b);
      const T keep = f.keep ? f.keep[v.sample(t, b)] : T(1);
      if (keep == T(1)) continue;
      for (int j = 0; j < K * H; ++j) carried_h[local(b, 0) + j] *= keep;
      for (int j = 0; j < K * H; ++j) carried_c[local(b, 0) + j] *= keep;
    }
  }

  // Adds the products of the chunk's rows to the weights' gradients; its last step was step t.
  void add_weights(int64_t t) {
    for (int k = 0; k < K && sums.hh; ++k) {
      Rows<T> state = rows();
      for (int64_t p = 0; p < filled * nb; ++p)
        if (slot_at(p, k) >= 0) state.add(h_in[p] + k * H, gates_at(p, slot_at(p, k)));
      add_outer(state, H, sums.hh + int64_t(k) * H * sums.hh_row, sums.hh_row);
    }
    if (s.communication == Communication::none) return;
    for (int k = 0; k < K && sums.sources; ++k) {
      Rows<T> all = rows();
      for (int64_t p = 0; p < filled * nb; ++p)
        all.add(readable(step(t, p), sample(p), k), sources_at(p, k));
      add_outer(all, H, sums.sources + int64_t(k) * H * source_row, source_row);
      Rows<T> readers = rows();
      for (int64_t p = 0; p < filled * nb; ++p)
        if (slot_at(p, k) >= 0)
          readers.add(readable(step(t, p), sample(p), k), queries_at(p, slot_at(p, k)));
      add_outer(readers, H, sums.queries + int64_t(k) * H * query_row, query_row);
    }
    Rows<T> read = rows();
    for (int k = 0; k < K && sums.out; ++k) {
      for (int64_t p = 0; p < filled * nb; ++p) {
        const int at = slot_at(p, k);
        if (at >= 0)
          read.add(f.read + (v.sample(step(t, p), sample(p)) * v.A + at) * v.V, out_at(p, at));
      }
      const bool own = s.communication == Communication::residual;
      if (!own && k + 1 < K) continue;
      add_outer(read, v.V, sums.out + (own ? int64_t(k) * v.V * out_row : 0), out_row);
      read.count = 0;
    }
  }

  // Which step and sample a place of the chunk belongs to, t being the chunk's last.
  int64_t step(int64_t t, int64_t place) const { return t + filled - 1 - place / nb; }
  int64_t sample(int64_t place) const { return b0 + place % nb; }

public:
  BackwardPass(const Sizes &sizes, const Forward<T> &record, const Backward<T> &grads,
               WeightSums<T> &to, int64_t begin, int64_t end)
      : v(sizes), s(sizes), f(record), g(grads), sums(to), b0(begin), b1(end), K(v.K), H(v.H),
        nb(int(end - begin)), chunk((CHUNK_SAMPLES + nb - 1) / nb), gates_row(padded(4 * H)),
        query_row(padded(v.E)), source_row(padded(v.E + v.V)), out_row(padded(v.O)) {
    const size_t places = size_t(chunk) * nb, state = size_t(nb) * K * H,
                 alone = s.communication == Communication::none;
    h_copies.resize(places * K * H);
    h_in.resize(places);
    slots.resize(places * K);
    grad_gates.resize(places * v.A * gates_row);
    if (!alone) {
      grad_queries.resize(places * v.A * query_row);
      grad_sources.resize(places * K * source_row);
      grad_out.resize(places * v.A * out_row);
      grad_read.resize(size_t(nb) * v.A * v.V);
      grad_partial.resize(state);
    }
    for (auto *each : {&delta, &carried_h, &carried_c, &grad_candidate, &grad_direct})
      each->resize(state);
    c_copies.resize(s.gates == 4 ? state : 0);
    c_in.resize(nb);
    weights.resize(v.A * K);
    grad_scores.resize(v.A * K);
    grad_attentions.resize(size_t(nb) * s.input_heads * K);
    if (s.selection == Selection::soft) grad_moves.resize(size_t(nb) * K);
    for (auto *each : {&change, &candidate, &candidate_c, &partial})
      each->resize(s.selection == Selection::soft ? H : 0);
    row_x.resize(places * K);
    row_y.resize(places * K);
    row_start.resize(places * K);
  }

  void run() {
    std::memcpy(carried_c.data(), g.grad_c + b0 * K * H, carried_c.size() * sizeof(T));
    for (int64_t t = s.steps - 1; t >= 0; --t) {
      enter(t);
      if (s.communication == Communication::none)
        skip_communication();
      else
        communicate(t);
      cells(t);
      inputs(t);
      if (++filled < chunk && t > 0) continue;
      add_weights(t);
      filled = 0;
    }
    std::memcpy(g.h0 + b0 * K * H, carried_h.data(), carried_h.size() * sizeof(T));
    std::memcpy(g.c0 + b0 * K * H, carried_c.data(), carried_c.size() * sizeof(T));
  }
};
