// What a scan takes and gives; compiled.py has the same names in the same order, and checks it.
// A library built from older sources must not be taken: count RIMS_KERNEL up, there too, whenever
// the same names come to mean something else.
//
// Axes: T time, B batch, M = T * B, K RIMs, A active RIMs, S RIMs whose cell is computed (A, or K
// where others read their candidates), H units per RIM, G gates (3 GRU, 4 LSTM), N input heads,
// C communication heads, E = C * key size, V = C * value size, O numbers of a message (2 H, or H
// for residual). "Saved" arrays have T entries for training, one for inference. Along A and S RIMs
// keep their order.
#pragma once

#include <cstdint>

namespace rims {

#define RIMS_KERNEL 1

// A row of RIMs is kept on the stack.
#define RIMS_MAX_RIMS 256

// The released code's guard against an empty competition.
#define RIMS_SPARSIFY_EPSILON 1e-07

#define RIMS_INPUT_ATTENTIONS(X) X(null) X(competition) X(none)
#define RIMS_SELECTIONS(X) X(hard) X(soft)
#define RIMS_COMMUNICATIONS(X) X(none) X(bounded) X(gated) X(residual)
#define RIMS_ENUMERATOR(name) name,
enum class InputAttention : int64_t { RIMS_INPUT_ATTENTIONS(RIMS_ENUMERATOR) };
enum class Selection : int64_t { RIMS_SELECTIONS(RIMS_ENUMERATOR) };
enum class Communication : int64_t { RIMS_COMMUNICATIONS(RIMS_ENUMERATOR) };

// clang-format off
#define RIMS_SIZES(X)                                                                              \
  X(int64_t, steps) X(int64_t, batch) X(int64_t, num_rims) X(int64_t, rim_size)                    \
  X(int64_t, gates) X(int64_t, input_heads) X(int64_t, num_active) X(int64_t, comm_heads)          \
  X(int64_t, comm_key_size) X(int64_t, comm_value_size) X(InputAttention, input_attention)         \
  X(Selection, selection) X(Communication, communication) X(int64_t, read_candidate)               \
  X(int64_t, read_null) X(int64_t, save) X(int64_t, threads)

#define RIMS_FORWARD(X)                                                                            \
  X(const T *, gates_in)          /* (N, K, M, G * H) input's part of the gates, before attention */ \
  X(const T *, scores_in)         /* (N, K, M, H) score = state . this */                          \
  X(const T *, score_bias)        /* (N, K, M) or null: added to the score */                      \
  X(const T *, h0)                /* (B, K, H) */                                                  \
  X(const T *, c0)                /* (B, K, H) */                                                  \
  X(const T *, keep)              /* (T, B) or null */                                             \
  X(const T *, weight_hh)         /* (K, H, G * H) */                                              \
  X(const T *, bias_ih)           /* (K, G * H) */                                                 \
  X(const T *, bias_hh)           /* (K, G * H) */                                                 \
  X(const T *, weight_qkv)        /* (K, H, 2 E + V) */                                            \
  X(const T *, weight_out)        /* (V, O), residual: (K, V, O); or null, V = O */                                \
  X(const T *, bias_out)          /* (O) or null */                                                \
  X(const T *, edge_width)        /* (1) of soft selection */                                      \
  X(T *, h)                       /* (T, B, K, H) after each step */                               \
  X(T *, c)                       /* (T, B, K, H) after each step */                               \
  X(uint8_t *, active_mask)       /* (T, B, K) */                                                  \
  X(T *, input_attention)         /* (T, B, N, K) weight on the input; saved */                    \
  X(T *, communication_attention) /* (T, B, C, K, K) 0 for inactive readers; saved */              \
  X(T *, move)                    /* (T, B, K) how far a RIM moves, soft selection; saved */       \
  X(T *, softmax)                 /* (T, B, N, K) of competition, before losers pay; saved */      \
  X(T *, acts)                    /* (T, B, S, 4 H) gates (GRU: r, z, n, state part of n); saved */ \
  X(T *, readable)                /* (T, B, K, H) what others read; saved */                       \
  X(T *, queries)                 /* (T, B, A, E); saved */                                        \
  X(T *, sources)                 /* (T, B, K, E + V) keys, values; saved */                       \
  X(T *, read)                    /* (T, B, A, V) what was read; saved */                          \
  X(T *, message)                 /* (T, B, A, O) content, gate; saved */

// Gradients of what `Forward` reads; of weights and biases null where they are not wanted.
#define RIMS_BACKWARD(X)                                                                           \
  X(const T *, grad_h)            /* (T, B, K, H) */                                               \
  X(const T *, grad_c)            /* (B, K, H) of the last c */                                    \
  X(const T *, weight_hh_t)       /* (K, G * H, H) */                                              \
  X(const T *, weight_qkv_t)      /* (K, 2 E + V, H) */                                            \
  X(const T *, weight_out_t)      /* (O, V), residual: (K, O, V) */                                \
  X(T *, gates_in)                /* (N, K, M, G * H) */                                           \
  X(T *, scores_in)               /* (N, K, M, H) */                                               \
  X(T *, score_bias)              /* (N, K, M) */                                                  \
  X(T *, h0)                      /* (B, K, H) */                                                  \
  X(T *, c0)                      /* (B, K, H) */                                                  \
  X(T *, weight_hh)               /* (K, H, G * H) */                                              \
  X(T *, bias_ih)                 /* (K, G * H) */                                                 \
  X(T *, bias_hh)                 /* (K, G * H) */                                                 \
  X(T *, weight_qkv)              /* (K, H, 2 E + V) */                                            \
  X(T *, weight_out)              /* (V, O), residual: (K, V, O) */                                \
  X(T *, bias_out)                /* (O) */
// clang-format on

#define RIMS_FIELD(type, name) type name;
struct Sizes {
  RIMS_SIZES(RIMS_FIELD)
};
template <class T> struct Forward {
  RIMS_FORWARD(RIMS_FIELD)
};
template <class T> struct Backward {
  RIMS_BACKWARD(RIMS_FIELD)
};

// All names in the order above, and the numbers, for the caller to compare with its own.
#define RIMS_TEXT(x) #x
#define RIMS_TEXT_OF(x) RIMS_TEXT(x)
#define RIMS_NAME(type, name) " " #name
#define RIMS_FORM(name) " " #name
// clang-format off
constexpr const char *LAYOUT =
    ";" RIMS_SIZES(RIMS_NAME) ";" RIMS_FORWARD(RIMS_NAME) ";" RIMS_BACKWARD(RIMS_NAME)
    ";" RIMS_INPUT_ATTENTIONS(RIMS_FORM) ";" RIMS_SELECTIONS(RIMS_FORM)
    ";" RIMS_COMMUNICATIONS(RIMS_FORM) "; " RIMS_TEXT_OF(RIMS_SPARSIFY_EPSILON)
    "; " RIMS_TEXT_OF(RIMS_MAX_RIMS) "; " RIMS_TEXT_OF(RIMS_KERNEL);
// clang-format on

} // namespace rims
