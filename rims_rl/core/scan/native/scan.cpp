// Recurrent Independent Mechanisms over a whole sequence, forward and backward, on the CPU.
//
// Each thread takes its own samples through all steps, so threads never wait for each other.
// Gradients of the weights that multiply states are added up here; those of the input's maps are
// left to the caller, as matrix products over the whole sequence.

#include "scan.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace rims {

// Rows that vectors may overrun are lengthened to whole multiples of this.
constexpr int PAD = 16;
inline int padded(int size) { return (size + PAD - 1) / PAD * PAD; }

// Rows of numbers begin where vectors do not cross cache lines.
template <class T> struct Aligned {
  typedef T value_type;
  Aligned() = default;
  template <class U> Aligned(const Aligned<U> &) {}
  T *allocate(size_t n) {
    return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T *p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  template <class U> bool operator==(const Aligned<U> &) const { return true; }
  template <class U> bool operator!=(const Aligned<U> &) const { return false; }
};
template <class T> using Buffer = std::vector<T, Aligned<T>>;

// Weights' gradients are added up over so many samples at once: more would leave the cache.
constexpr int CHUNK_SAMPLES = 64;

// One thread's part of the weights' gradients, in padded rows; null where it is not wanted.
template <class T> struct WeightSums {
  T *hh, *bias;         // (K, H, hh_row); (K, 4 H) of the gates in the backward pass's order
  T *queries, *sources; // (K, H, padded)
  T *out, *bias_out;    // (V or K * V, padded); (O)
  int hh_row;
};

namespace portable {
#define RIMS_VECTOR_BYTES 16
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
#include "kernel.h"
#undef RIMS_VECTOR_BYTES
} // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma"))),    \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#define RIMS_VECTOR_BYTES 64
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

// GNU's OpenMP, where torch has loaded it. Its threads wait for torch's next operation by spinning:
// threads of our own beside them would get half a core.
typedef void (*OpenMP)(void (*work)(void *), void *data, unsigned threads, unsigned flags);
static OpenMP torchs_openmp() {
  void *loaded = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
  return loaded ? reinterpret_cast<OpenMP>(dlsym(loaded, "GOMP_parallel")) : nullptr;
}

static OpenMP openmp = torchs_openmp();

// Calls run on so many threads at once, or on fewer if the machine gives no more.
template <class Run> void on_threads(int64_t threads, Run run) {
  if (threads > 1 && openmp)
    return openmp([](void *data) { (*static_cast<Run *>(data))(); }, &run, unsigned(threads), 0);
  std::vector<std::thread> helpers;
  try {
    while (int64_t(helpers.size()) + 1 < threads) helpers.emplace_back(std::ref(run));
  } catch (const std::system_error &) {
  }
  run();
  for (std::thread &helper : helpers) helper.join();
}

// Shares the samples out to threads.
template <class Work> void in_parallel(const Sizes &s, int64_t threads, Work work) {
  std::atomic<int64_t> next{0};
  on_threads(threads, [&] {
    for (int64_t i = next++; i < threads; i = next++)
      work(i, s.batch * i / threads, s.batch * (i + 1) / threads);
  });
}

static int64_t useful_threads(const Sizes &s) {
  const int64_t wanted = s.threads < s.batch ? s.threads : s.batch;
  return wanted < 1 ? 1 : wanted;
}

template <class T> void forward(const Sizes &s, const Forward<T> &f) {
  in_parallel(s, useful_threads(s), [&s, &f](int64_t, int64_t begin, int64_t end) {
#ifdef RIMS_X86
    if (chosen_isa == AVX512) return avx512::ForwardPass<T>(s, f, begin, end).run();
    if (chosen_isa == AVX2) return avx2::ForwardPass<T>(s, f, begin, end).run();
#endif
    portable::ForwardPass<T>(s, f, begin, end).run();
  });
}

// The weights' gradients of all threads: room for each, and their sum.
template <class T> class AllSums {
  const Sizes &s;
  const Backward<T> &g;
  const int H, E, V, GH, O, outs;
  size_t part = 0;
  size_t take(bool wanted, size_t size) {
    const size_t at = part;
    part += wanted ? (size + PAD - 1) / PAD * PAD : 0;
    return at;
  }
  const size_t hh, bias, queries, sources, out, bias_out;
  const int64_t threads;
  T *const values;

  // to (rows, columns) with row stride ld = sum over threads of rows (padded) from `from`; does
  // share i of as many as there are threads.
  void add_up(int64_t i, size_t from, int64_t rows, int columns, int row, T *__restrict to,
              int64_t ld) const {
    for (int64_t r = rows * i / threads; r < rows * (i + 1) / threads; ++r) {
      const T *part_of_first = values + from + r * row;
      std::memcpy(to + r * ld, part_of_first, columns * sizeof(T));
      for (int64_t other = 1; other < threads; ++other) {
        const T *__restrict its_part = part_of_first + other * part;
        for (int j = 0; j < columns; ++j) to[r * ld + j] += its_part[j];
      }
    }
  }

public:
  AllSums(const Sizes &sizes, const Backward<T> &grads, int64_t num_threads)
      : s(sizes), g(grads), H(int(s.rim_size)), E(int(s.comm_heads * s.comm_key_size)),
        V(int(s.comm_heads * s.comm_value_size)), GH(int(s.gates) * H),
        O(s.communication == Communication::residual ? H : 2 * H),
        outs(int(s.communication == Communication::residual ? s.num_rims : 1) * V),
        hh(take(g.weight_hh, s.num_rims * H * padded(GH))),
        bias(take(g.bias_ih || g.bias_hh, s.num_rims * 4 * H)),
        queries(take(g.weight_qkv, s.num_rims * H * padded(E))),
        sources(take(g.weight_qkv, s.num_rims * H * padded(E + V))),
        out(take(g.weight_out, size_t(outs) * padded(O))), bias_out(take(g.bias_out, O)),
        threads(num_threads), values(Aligned<T>().allocate(part * threads)) {}
  AllSums(const AllSums &) = delete;
  ~AllSums() { Aligned<T>().deallocate(values, part * threads); }

  // A thread's room, all 0.
  WeightSums<T> of(int64_t thread) {
    T *base = values + thread * part;
    std::memset(base, 0, part * sizeof(T));
    return {g.weight_hh ? base + hh : nullptr,
            g.bias_ih || g.bias_hh ? base + bias : nullptr,
            g.weight_qkv ? base + queries : nullptr,
            g.weight_qkv ? base + sources : nullptr,
            g.weight_out ? base + out : nullptr,
            g.bias_out ? base + bias_out : nullptr,
            padded(GH)};
  }

  // Writes share i of the sums of all threads.
  void write(int64_t i) const {
    const int64_t rows = s.num_rims * H, last = s.gates == 3 ? 2 * H : 3 * H;
    if (g.weight_hh) add_up(i, hh, rows, GH, padded(GH), g.weight_hh, GH);
    if (g.bias_hh) add_up(i, bias, s.num_rims, GH, 4 * H, g.bias_hh, GH);
    if (g.bias_ih) add_up(i, bias, s.num_rims, last, 4 * H, g.bias_ih, GH);
    if (g.bias_ih) add_up(i, bias + 3 * H, s.num_rims, H, 4 * H, g.bias_ih + last, GH);
    if (g.weight_qkv) add_up(i, queries, rows, E, padded(E), g.weight_qkv, 2 * E + V);
    if (g.weight_qkv) add_up(i, sources, rows, E + V, padded(E + V), g.weight_qkv + E, 2 * E + V);
    if (g.weight_out) add_up(i, out, outs, O, padded(O), g.weight_out, O);
    if (g.bias_out) add_up(i, bias_out, 1, O, O, g.bias_out, O);
  }
};

template <class T> void backward(const Sizes &s, const Forward<T> &f, const Backward<T> &g) {
  const int64_t threads = useful_threads(s);
  AllSums<T> all(s, g, threads);
  in_parallel(s, threads, [&](int64_t thread, int64_t begin, int64_t end) {
    WeightSums<T> sums = all.of(thread);
#ifdef RIMS_X86
    if (chosen_isa == AVX512) return avx512::BackwardPass<T>(s, f, g, sums, begin, end).run();
    if (chosen_isa == AVX2) return avx2::BackwardPass<T>(s, f, g, sums, begin, end).run();
#endif
    portable::BackwardPass<T>(s, f, g, sums, begin, end).run();
  });
  in_parallel(s, threads, [&](int64_t i, int64_t, int64_t) { all.write(i); });
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
const char *rims_layout() { return LAYOUT; }

// The build expects an extension module to have this. It is a plain library, loaded by ctypes.
void *PyInit__compiled() { return nullptr; }

// For tests: uses at most this instruction set (0 portable, 1 AVX2, 2 AVX-512); returns the one in
// use.
int rims_limit_isa(int isa) {
  const Isa best = best_isa();
  chosen_isa = isa < best ? static_cast<Isa>(isa) : best;
  return chosen_isa;
}

// For tests: uses torch's threads if it has any that fit (1) or its own (0); returns which.
int rims_share_threads(int share) {
  openmp = share ? torchs_openmp() : nullptr;
  return openmp != nullptr;
}
}
