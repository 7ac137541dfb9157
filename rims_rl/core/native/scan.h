// What a scan takes and gives; scan_native.py has the same fields in the same order.
//
// Axes: T time, B batch, M = T * B, K RIMs, A active RIMs, S RIMs whose cell is computed (A, or K
// where others read their candidates), H units a RIM, G gates (3 GRU, 4 LSTM), N input heads,
// C communication heads, E = C * key size, V = C * value size, O outputs of the message (2 H, or H
// for residual). "Saved" arrays have T entries for training, one for inference. Along A and S RIMs
// keep their order.
#pragma once

#include <cstdint>

namespace rims {

enum Attention { NULL_ROW, COMPETITION, NO_ATTENTION };
enum Message { SILENT, BOUNDED, GATED, RESIDUAL };

struct Sizes {
  int64_t steps, batch, rims, units, gates, heads, num_active;
  int64_t comm_heads, key_size, value_size;
  int64_t attention, message, read_candidate, save, threads;
};

template <class T> struct Forward {
  const T *gates_in;          // (N, K, M, G * H) the input's part of the gates, before attention
  const T *scores_in;         // (N, K, M, H) score = state . this
  const T *h0, *c0;           // (B, K, H)
  const T *keep;              // (T, B) or null
  const T *weight_hh;         // (K, H, G * H)
  const T *bias_ih, *bias_hh; // (K, G * H)
  const T *weight_qkv;        // (K, H, 2 E + V)
  const T *weight_out;        // (V, O), residual: (K, V, O)
  const T *bias_out;          // (O) or null
  T *h, *c;                   // (T, B, K, H) states after each step
  uint8_t *active;            // (T, B, K)
  T *attention;               // (T, B, N, K) weight on the input; saved
  T *weights;                 // (T, B, C, K, K) communication attention, 0 if inactive; saved
  T *softmax;                 // (T, B, N, K) competition: before taking the losers' weight; saved
  T *acts;     // (T, B, S, 4 H) activated gates (GRU: r, z, n, state part of n); saved
  T *readable; // (T, B, K, H); saved
  T *queries;  // (T, B, A, E); saved
  T *sources;  // (T, B, K, E + V) keys, values; saved
  T *read;     // (T, B, A, V) what was read; saved
  T *out;      // (T, B, A, O) message, gate; saved
};

// Gradients of what `Forward` reads; of weights and biases null where they are not wanted.
template <class T> struct Backward {
  const T *grad_h;       // (T, B, K, H)
  const T *grad_c;       // (B, K, H) of the last c
  const T *weight_hh_t;  // (K, G * H, H)
  const T *weight_qkv_t; // (K, 2 E + V, H)
  const T *weight_out_t; // (O, V), residual: (K, O, V)
  T *gates_in;           // (N, K, M, G * H)
  T *scores_in;          // (N, K, M, H)
  T *h0, *c0;            // (B, K, H)
  T *weight_hh;          // (K, H, G * H)
  T *bias_ih, *bias_hh;  // (K, G * H)
  T *weight_qkv;         // (K, H, 2 E + V)
  T *weight_out;         // (V, O), residual: (K, V, O)
  T *bias_out;           // (O)
};

} // namespace rims
