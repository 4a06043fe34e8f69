// A decorator over the CPU's kernel tables: every call is timed and its least cost counted. The kernels are the same.
#include "bench/timed_kernels.h"

#include <chrono>
#include <utility>

#include "kernels/cpu/levels.h"

namespace expunge::bench {
namespace {

using Clock = std::chrono::steady_clock;

CostByKernel& costs() {
  static CostByKernel made;
  return made;
}

double times(auto... sizes) { return (1.0 * ... * static_cast<double>(sizes)); }
Cost products(double flops) { return {.flops = flops}; }
Cost traffic(double bytes, double exponentials = 0) { return {.bytes = bytes, .exponentials = exponentials}; }

/// Scores of causal attention: pairs of a query and a key that it sees, over all heads.
double scores(const std::int32_t* offsets, int sequences, AttentionShape shape) {
  double pairs = 0;
  for (int s = 0; s < sequences; ++s) pairs += times(offsets[s + 1] - offsets[s], offsets[s + 1] - offsets[s] + 1) / 2;
  return pairs * shape.heads;
}
/// `count` products over the head size for each score.
Cost attention(int count, const std::int32_t* offsets, int sequences, AttentionShape shape) {
  const double pairs = scores(offsets, sequences, shape);
  return {.flops = 2 * count * pairs * shape.head_size, .exponentials = pairs};
}

/// One kernel's stand-in. `Member` tells the kernels of a table apart.
template <typename Table, auto Member, typename Signature>
struct Timed;
template <typename Table, auto Member, typename... Args>
struct Timed<Table, Member, void (*)(Stream&, Args...)> {
  using Kernel = void (*)(Stream&, Args...);
  static inline Kernel original;
  static inline Cost* total;
  static inline Cost (*least)(Args...);

  static void call(Stream& stream, Args... args) {
    const auto began = Clock::now();
    original(stream, args...);
    *total += least(args...);
    total->seconds += std::chrono::duration<double>(Clock::now() - began).count();
  }
  static void put(Table& table, const char* name, Cost (*cost)(Args...)) {
    original = std::exchange(table.*Member, call);
    total = &costs()[name];
    least = cost;
  }
};

template <auto Member, Element T>
void wrap(Kernels<T>& table, const char* name, auto cost) {
  Timed<Kernels<T>, Member, std::remove_reference_t<decltype(table.*Member)>>::put(table, name, cost);
}

/// Every kernel that a training step or an evaluation calls. "set" writes, "add" reads and writes.
template <Element T>
Kernels<T> timed() {
  using K = Kernels<T>;
  using A = acc_t<T>;
  constexpr double kT = sizeof(T), kA = sizeof(A);
  K table = *std::get<const K*>(cpu::level().kernels);
  wrap<&K::linear_forward>(table, "linear forward", [](T*, const T*, const T*, const T*, int n, int in, int out) {
    return products(2 * times(n, in, out));
  });
  wrap<&K::linear_backward>(table, "linear backward",
                            [](T* dx, A* dw, const T*, const T*, const T*, int n, int in, int out, Write) {
                              return products(2 * times(n, in, out) * ((dx ? 1 : 0) + (dw ? 1 : 0)));
                            });
  wrap<&K::logits_forward>(table, "logits forward", [](A*, const T*, const T*, int n, int dim, int vocabulary) {
    return products(2 * times(n, dim, vocabulary));
  });
  wrap<&K::embedding_forward>(table, "embedding forward", [](T*, const T*, const std::int32_t*, int n, int dim) {
    return traffic(2 * kT * times(n, dim));
  });
  wrap<&K::embedding_backward>(table, "embedding backward", [](A*, const T*, const std::int32_t*, int n, int dim) {
    return traffic((kT + 2 * kA) * times(n, dim));
  });
  wrap<&K::rms_norm_forward>(table, "RMSNorm forward", [](T*, A*, const T*, const T*, int n, int dim, double) {
    return traffic(2 * kT * times(n, dim));
  });
  wrap<&K::rms_norm_backward>(table, "RMSNorm backward",
                              [](T*, A*, const T*, const T*, const T*, const A*, int n, int dim, Write write) {
                                return traffic((write == Write::add ? 4 : 3) * kT * times(n, dim));
                              });
  wrap<&K::rope_forward>(table, "RoPE", [](T*, const A*, int n, AttentionShape s) {
    return traffic(2 * kT * times(n, s.heads + s.kv_heads, s.head_size));
  });
  wrap<&K::rope_backward>(table, "RoPE", [](T*, const A*, int n, AttentionShape s) {
    return traffic(2 * kT * times(n, s.heads + s.kv_heads, s.head_size));
  });
  wrap<&K::attention_forward>(table, "attention forward",
                              [](T*, A*, const T*, const std::int32_t* offsets, int sequences, int, AttentionShape shape) {
                                return attention(2, offsets, sequences, shape);
                              });
  wrap<&K::attention_backward>(table, "attention backward",
                               [](T*, const T*, const T*, const T*, const A*, const std::int32_t* offsets, int sequences, int,
                                  AttentionShape shape) { return attention(5, offsets, sequences, shape); });
  wrap<&K::swiglu_forward>(table, "SwiGLU forward",
                           [](T*, const T*, int n, int mlp) { return traffic(3 * kT * times(n, mlp), times(n, mlp)); });
  wrap<&K::swiglu_backward>(table, "SwiGLU backward", [](T*, const T*, const T*, int n, int mlp) {
    return traffic(5 * kT * times(n, mlp), times(n, mlp));
  });
  wrap<&K::nll_forward>(table, "cross-entropy forward",
                        [](A*, A*, std::int32_t*, const A*, const std::int32_t*, int n, int vocabulary) {
                          return traffic(kA * times(n, vocabulary), times(n, vocabulary));
                        });
  wrap<&K::nll_backward>(table, "cross-entropy backward",
                         [](T*, const A*, const A*, const std::int32_t*, const A*, int n, int vocabulary) {
                           return traffic((kT + kA) * times(n, vocabulary), times(n, vocabulary));
                         });
  wrap<&K::adamw>(table, "AdamW",
                  [](A*, A*, A*, const A*, std::size_t n, const AdamWStep&) { return traffic(7 * kA * times(n)); });
  wrap<&K::sum_of_squares>(table, "gradient norm", [](double*, const A*, std::size_t n) { return traffic(kA * times(n)); });
  wrap<&K::cast>(table, "cast weights", [](T*, const A*, std::size_t n) { return traffic((kA + kT) * times(n)); });
  wrap<&K::accumulate>(table, "add gradients", [](A*, const A*, std::size_t n) { return traffic(3 * kA * times(n)); });
  return table;
}

}  // namespace

CostByKernel take_costs() {
  CostByKernel taken;
  for (auto& [name, cost] : costs())
    if (cost.seconds > 0) taken[name] = std::exchange(cost, {});
  return taken;
}

void time_kernels() {
  static const Kernels<float> in_float = timed<float>();
  static const Kernels<bf16> in_bf16 = timed<bf16>();
  static const Kernels<double> in_double = timed<double>();
  static const cpu::Level timed_level{cpu::level().name, {&in_float, &in_bf16, &in_double}, cpu::level().has_bf16_products};
  cpu::use_level(timed_level);
}

}  // namespace expunge::bench
