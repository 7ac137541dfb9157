// Recurrent Independent Mechanisms over a whole sequence, forward and backward, on the CPU.
//
// Each thread takes its own samples through all steps, so threads never wait for each other.
// Weight gradients are left to matrix products over the whole sequence by the caller.

#include "scan.h"

#include <cmath>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

namespace rims {

// Memory of one thread: numbers, and the rows of a matrix product.
template <class T> struct Scratch {
  T *values;
  const T **x;
  T **y;
};

namespace portable {
#define RIMS_VECTOR_BYTES 16
#include "simd.h"
#include "kernel.h"
#undef RIMS_VECTOR_BYTES
} // namespace portable

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define RIMS_X86 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define RIMS_VECTOR_BYTES 32
#include "simd.h"
#include "kernel.h"
#undef RIMS_VECTOR_BYTES
} // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#define RIMS_VECTOR_BYTES 64
#include "simd.h"
#include "kernel.h"
#undef RIMS_VECTOR_BYTES
} // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

enum Isa { PORTABLE, AVX2, AVX512 };

static Isa best_isa() {
#ifdef RIMS_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
#endif
  return PORTABLE;
}

static Isa chosen_isa = best_isa();

// Shares the samples out to threads; the calling one takes the last part.
template <class T, class Work> void in_parallel(const Sizes &s, Work work) {
  auto part = [&s, work](int64_t begin, int64_t end) {
    const size_t rows = size_t(end - begin) * s.rims;
    std::vector<T> values(rows * (6 * s.units + s.comm_heads * s.value_size) +
                          size_t(s.gates) * s.units + s.rims);
    std::vector<const T *> x(rows);
    std::vector<T *> y(rows);
    Scratch<T> scratch{values.data(), x.data(), y.data()};
    work(scratch, begin, end);
  };
  const int64_t wanted = s.threads < s.batch ? s.threads : s.batch;
  const int64_t threads = wanted < 1 ? 1 : wanted;
  std::vector<std::thread> helpers;
  int64_t begin = 0;
  for (int64_t i = 0; i < threads; ++i) {
    const int64_t end = begin + (s.batch - begin) / (threads - i);
    bool helped = false;
    if (i + 1 < threads) {
      try {
        helpers.emplace_back(part, begin, end);
        helped = true;
      } catch (const std::system_error &) { // the machine gives no more threads
      }
    }
    if (!helped) part(begin, end);
    begin = end;
  }
  for (std::thread &helper : helpers) helper.join();
}

template <class T> void forward(const Sizes &s, const Forward<T> &f) {
  in_parallel<T>(s, [&s, &f](Scratch<T> &scratch, int64_t begin, int64_t end) {
#ifdef RIMS_X86
    if (chosen_isa == AVX512) return avx512::forward_samples(s, f, scratch, begin, end);
    if (chosen_isa == AVX2) return avx2::forward_samples(s, f, scratch, begin, end);
#endif
    portable::forward_samples(s, f, scratch, begin, end);
  });
}

template <class T> void backward(const Sizes &s, const Forward<T> &f, const Backward<T> &g) {
  in_parallel<T>(s, [&s, &f, &g](Scratch<T> &scratch, int64_t begin, int64_t end) {
#ifdef RIMS_X86
    if (chosen_isa == AVX512) return avx512::backward_samples(s, f, g, scratch, begin, end);
    if (chosen_isa == AVX2) return avx2::backward_samples(s, f, g, scratch, begin, end);
#endif
    portable::backward_samples(s, f, g, scratch, begin, end);
  });
}

} // namespace rims

extern "C" {

using namespace rims;

void rims_forward_f32(const Sizes *s, const Forward<float> *f) { forward(*s, *f); }
void rims_forward_f64(const Sizes *s, const Forward<double> *f) { forward(*s, *f); }
void rims_backward_f32(const Sizes *s, const Forward<float> *f, const Backward<float> *g) {
  backward(*s, *f, *g);
}
void rims_backward_f64(const Sizes *s, const Forward<double> *f, const Backward<double> *g) {
  backward(*s, *f, *g);
}

// For the caller to check that it was written for this library.
int rims_layout() {
  return sizeof(Sizes) + sizeof(Forward<float>) + sizeof(Backward<float>);
}

// The build expects an extension module to have this. It is a plain library, loaded by ctypes.
void *PyInit__scan() { return nullptr; }

// For tests: uses at most this instruction set (0 portable, 1 AVX2, 2 AVX-512); returns the one in
// use.
int rims_limit_isa(int isa) {
  const Isa best = best_isa();
  chosen_isa = isa < best ? static_cast<Isa>(isa) : best;
  return chosen_isa;
}
}
