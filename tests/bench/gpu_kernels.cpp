// Each kernel by itself, at the sizes of a micro-batch of two whole sequences, against the highest rates of copies and products
// that the same device reaches.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>

#include "bench/gpu.h"
#include "core/random.h"
#include "expunge/kernels.h"
#include "model/llama.h"

namespace expunge::bench {
namespace {

using Clock = std::chrono::steady_clock;

class KernelBench {
 public:
  KernelBench(const GpuShape& shape, Device device)
      : s_(shape),
        device_(device),
        stream_(device.type == DeviceType::cuda ? make_cuda_stream(device.index) : make_inline_stream()),
        k_(kernels<bf16>(device)),
        n_(shape.micro_batch_tokens()) {}

  void run() {
    measure_limits();
    fmt::print("{:<34}{:>10}{:>16}{:>14}{:>8}{:>18}\n", "kernel", "ms", "rate", "of its limit", "calls", "ms a micro-batch");
    bench_products();
    bench_attention();
    bench_rows();
    bench_losses();
    fmt::print("{:<34}{:>10}{:>16}{:>14}{:>8}{:>18.2f}\n", "sum, nothing recomputed", "", "", "", "", 1e3 * micro_batch_);
    bench_update();
    bench_others();
  }

 private:
  static std::size_t size(auto... sizes) { return (std::size_t{1} * ... * static_cast<std::size_t>(sizes)); }

  /// Random numbers: products of zeros run faster. A block of them is repeated.
  template <typename E>
  Buffer<E> random(std::size_t n) {
    static const std::vector<float> block = [] {
      std::vector<float> values(std::size_t{1} << 20);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(0.02 * random_normal(1, 1, i));
      return values;
    }();
    const std::vector<E> converted(block.begin(), block.end());
    Buffer<E> buffer(device_, n);
    for (std::size_t at = 0; at < n; at += converted.size())
      copy_to_device(*stream_, buffer.data() + at, converted.data(), std::min(converted.size(), n - at) * sizeof(E));
    return buffer;
  }
  template <typename E>
  Buffer<E> upload(const std::vector<E>& values) {
    Buffer<E> buffer(device_, values.size());
    copy_to_device(*stream_, buffer.data(), values.data(), buffer.bytes());
    return buffer;
  }

  /// Of one call, of as many in a row as take a tenth of a second or so.
  double seconds_of(const std::function<void()>& call) {
    const auto timed = [&](int calls) {
      stream_->synchronize();
      const auto began = Clock::now();
      for (int i = 0; i < calls; ++i) call();
      stream_->synchronize();
      return std::chrono::duration<double>(Clock::now() - began).count() / calls;
    };
    timed(1);  // loads the kernel
    const double once = timed(2);
    return timed(std::clamp(static_cast<int>(0.1 / once), 2, 200));
  }

  void measure_limits() {
    const std::size_t bytes = size(n_, s_.mlp, 8);
    Buffer<char> from(device_, bytes), to(device_, bytes);
    zero_bytes(*stream_, from.data(), bytes);
    copy_rate_ = 2.0 * static_cast<double>(bytes) / seconds_of([&] { copy_bytes(*stream_, to.data(), from.data(), bytes); });
    const int side = s_.micro_batch_tokens();
    const auto a = random<bf16>(size(side, side)), b = random<bf16>(size(side, side));
    Buffer<bf16> c(device_, size(side, side));
    product_rate_ = 2 * std::pow(side, 3) /
                    seconds_of([&] { k_.linear_forward(*stream_, c.data(), a.data(), b.data(), nullptr, side, side, side); });
    fmt::print("measured: copies {:.0f} GB/s, read and written; a product of {} cubed {:.1f} TFLOP/s\n", 1e-9 * copy_rate_,
               side, 1e-12 * product_rate_);
  }

  /// Prints a row; `calls` of a micro-batch.
  void row(const std::string& name, double calls, double seconds, double flops, double bytes) {
    const double rate = (flops > 0 ? flops : bytes) / seconds;
    const std::string shown = flops > 0 ? fmt::format("{:.1f} TFLOP/s", 1e-12 * rate) : fmt::format("{:.0f} GB/s", 1e-9 * rate);
    fmt::print("{:<34}{:>10.3f}{:>16}{:>12.0f} %{:>8}{:>18.2f}\n", name, 1e3 * seconds, shown,
               100 * rate / (flops > 0 ? product_rate_ : copy_rate_), calls, 1e3 * calls * seconds);
    std::fflush(stdout);
    micro_batch_ += calls * seconds;
  }
  void products(const std::string& name, double calls, double flops, const std::function<void()>& call) {
    row(name, calls, seconds_of(call), flops, 0);
  }
  void traffic(const std::string& name, double calls, double bytes, const std::function<void()>& call) {
    row(name, calls, seconds_of(call), 0, bytes);
  }

  /// What a linear layer's forward pass makes: activations, those added to the residual, or the head's float32.
  enum class Makes { activations, sums, logits };
  void linear(const std::string& name, int calls, int rows, int in, int out, Makes makes) {
    const auto x = random<bf16>(size(rows, in)), w = random<bf16>(size(out, in));
    auto y = random<bf16>(size(rows, out)), dx = random<bf16>(size(rows, in));
    Buffer<float> dw = random<float>(size(out, in));
    const double flops = 2.0 * rows * in * out;
    const auto residual = random<bf16>(makes == Makes::sums ? y.size() : 0);
    Buffer<float> logits(device_, makes == Makes::logits ? y.size() : 0);
    products(name + " forward", calls, flops, [&] {
      if (makes == Makes::logits)
        k_.logits_forward(*stream_, logits.data(), x.data(), w.data(), rows, in, out);
      else
        k_.linear_forward(*stream_, y.data(), x.data(), w.data(), residual.data(), rows, in, out);
    });
    products(name + " dx", calls, flops, [&] {
      k_.linear_backward(*stream_, dx.data(), nullptr, y.data(), x.data(), w.data(), rows, in, out, Write::set);
    });
    products(name + " dw, added in fp32", calls, flops, [&] {
      k_.linear_backward(*stream_, nullptr, dw.data(), y.data(), x.data(), w.data(), rows, in, out, Write::set);
    });
  }
  void bench_products() {
    linear("qkv", s_.layers, n_, s_.dim, attention().qkv_width(), Makes::activations);
    linear("attention output", s_.layers, n_, attention().heads * attention().head_size, s_.dim, Makes::sums);
    linear("gate and up", s_.layers, n_, s_.dim, 2 * s_.mlp, Makes::activations);
    linear("down", s_.layers, n_, s_.mlp, s_.dim, Makes::sums);
  }

  void bench_attention() {
    const AttentionShape shape = attention();
    const std::vector<std::int32_t> ends{0, s_.length, 2 * s_.length};
    const auto offsets = upload(ends);
    const auto qkv = random<bf16>(size(n_, shape.qkv_width())), dout = random<bf16>(size(n_, shape.heads, shape.head_size));
    Buffer<bf16> out(device_, dout.size()), dqkv(device_, qkv.size());
    Buffer<float> lse(device_, size(shape.heads, n_));
    // A product over the head size for each query and key that it sees; two forward, five backward.
    const double product = 2.0 * s_.length * (s_.length + 1) * shape.heads * shape.head_size;
    products("attention forward", s_.layers, 2 * product,
             [&] { k_.attention_forward(*stream_, out.data(), lse.data(), qkv.data(), offsets.data(), 2, n_, shape); });
    products("attention backward", s_.layers, 5 * product, [&] {
      k_.attention_backward(*stream_, dqkv.data(), dout.data(), qkv.data(), out.data(), lse.data(), offsets.data(), 2, n_,
                            shape);
    });
  }

  void bench_rows() {
    const double element = sizeof(bf16), rows = n_;
    const int layers = s_.layers;
    const std::size_t wide = size(n_, s_.dim);
    {
      const auto x = random<bf16>(wide), w = random<bf16>(size(s_.dim)), dy = random<bf16>(wide);
      auto y = random<bf16>(wide);
      Buffer<float> rstd(device_, size(n_)), dw = random<float>(size(s_.dim));
      traffic("RMSNorm forward", 2 * layers + 1, 2 * element * rows * s_.dim,
              [&] { k_.rms_norm_forward(*stream_, y.data(), rstd.data(), x.data(), w.data(), n_, s_.dim, 1e-5); });
      traffic("RMSNorm backward, added", 2 * layers + 1, 4 * element * rows * s_.dim, [&] {
        k_.rms_norm_backward(*stream_, y.data(), dw.data(), dy.data(), x.data(), w.data(), rstd.data(), n_, s_.dim, Write::add);
      });
    }
    {
      std::vector<std::int32_t> places(size(n_)), ids(size(n_));
      for (std::size_t t = 0; t < places.size(); ++t) {
        places[t] = static_cast<std::int32_t>(t) % s_.length;
        ids[t] = static_cast<std::int32_t>(random_below(1, 2, t, static_cast<std::uint64_t>(s_.vocabulary)));
      }
      const auto positions = upload(places), tokens = upload(ids);
      auto qkv = random<bf16>(size(n_, attention().qkv_width()));
      Buffer<float> cos_sin(device_, size(n_, attention().head_size));
      k_.rope_table(*stream_, cos_sin.data(), positions.data(), n_, attention().head_size, 5e6);
      const double rotated = element * rows * (attention().heads + attention().kv_heads) * attention().head_size;
      traffic("RoPE", 2 * layers, 2 * rotated, [&] { k_.rope_forward(*stream_, qkv.data(), cos_sin.data(), n_, attention()); });
      const auto table = random<bf16>(size(s_.vocabulary, s_.dim));
      auto y = random<bf16>(wide);
      auto dtable = random<float>(size(s_.vocabulary, s_.dim));
      traffic("embedding forward", 1, 2 * element * rows * s_.dim,
              [&] { k_.embedding_forward(*stream_, y.data(), table.data(), tokens.data(), n_, s_.dim); });
      traffic("embedding backward", 1, (element + 8) * rows * s_.dim,
              [&] { k_.embedding_backward(*stream_, dtable.data(), y.data(), tokens.data(), n_, s_.dim); });
    }
    const auto gates = random<bf16>(size(n_, 2, s_.mlp)), dy = random<bf16>(size(n_, s_.mlp));
    Buffer<bf16> y(device_, dy.size()), dgates(device_, gates.size());
    traffic("SwiGLU forward", layers, 3 * element * rows * s_.mlp,
            [&] { k_.swiglu_forward(*stream_, y.data(), gates.data(), n_, s_.mlp); });
    traffic("SwiGLU backward", layers, 5 * element * rows * s_.mlp,
            [&] { k_.swiglu_backward(*stream_, dgates.data(), dy.data(), gates.data(), n_, s_.mlp); });
  }

  /// The head, in chunks as long as a pass makes them.
  void bench_losses() {
    const int rows = logits_chunk(n_, s_.vocabulary, device_.type), chunks = (n_ + rows - 1) / rows;
    linear(fmt::format("head, {} rows,", rows), chunks, rows, s_.dim, s_.vocabulary, Makes::logits);
    const auto logits = random<float>(size(rows, s_.vocabulary)), weights = random<float>(size(rows));
    const auto labels = upload(std::vector<std::int32_t>(size(rows), 3));
    Buffer<bf16> dlogits(device_, logits.size());
    Buffer<float> nll(device_, size(rows)), lse(device_, size(rows));
    Buffer<std::int32_t> predictions(device_, size(rows));
    const double numbers = 1.0 * rows * s_.vocabulary;
    traffic("cross-entropy forward", chunks, 4 * numbers, [&] {
      k_.nll_forward(*stream_, nll.data(), lse.data(), predictions.data(), logits.data(), labels.data(), rows, s_.vocabulary);
    });
    traffic("cross-entropy backward", chunks, 6 * numbers, [&] {
      k_.nll_backward(*stream_, dlogits.data(), logits.data(), lse.data(), labels.data(), weights.data(), rows, s_.vocabulary);
    });
  }

  /// Once a step, over every parameter; timed over a block's matrices.
  void bench_update() {
    fmt::print("once a step:\n");
    const std::size_t n = size(3, s_.mlp, s_.dim);
    const double block = static_cast<double>(n), times = s_.layers;
    auto w = random<float>(n), m = random<float>(n), v = random<float>(n);
    zero_bytes(*stream_, v.data(), v.bytes());
    const auto g = random<float>(n);
    Buffer<bf16> rounded(device_, n);
    auto sum = upload(std::vector<double>{0});
    traffic("AdamW", times, 28 * block, [&] {
      k_.adamw(*stream_, w.data(), m.data(), v.data(), g.data(), n, {1e-5, 0.9, 0.999, 1e-8, 0, 0.1, 0.001, 1, false});
    });
    traffic("gradient norm", times, 4 * block, [&] { k_.sum_of_squares(*stream_, sum.data(), g.data(), n); });
    traffic("weights to bfloat16", times, 6 * block, [&] { k_.cast(*stream_, rounded.data(), w.data(), n); });
    traffic("gradients to zero", times, 4 * block, [&] { zero_bytes(*stream_, m.data(), m.bytes()); });
  }

  /// What single methods and commands add: of the losses a chunk of the head's rows, of generation a token of each sequence.
  void bench_others() {
    fmt::print("in other methods and commands, a call:\n");
    const int rows = logits_chunk(n_, s_.vocabulary, device_.type), vocabulary = s_.vocabulary;
    const double numbers = 1.0 * rows * vocabulary, element = sizeof(bf16);
    {
      const auto logits = random<float>(size(rows, vocabulary)), targets = random<float>(size(rows, vocabulary));
      const auto labels = upload(std::vector<std::int32_t>(size(rows), 3));
      const auto dsignal = random<float>(size(rows));
      const auto uniform = upload(std::vector<double>(size(rows), 0.5));
      Buffer<bf16> dlogits(device_, logits.size());
      Buffer<float> signal(device_, size(rows)), lse(device_, size(rows)), target_lse(device_, size(rows));
      Buffer<std::int32_t> ids(device_, size(rows));
      k_.nll_forward(*stream_, signal.data(), lse.data(), ids.data(), logits.data(), labels.data(), rows, vocabulary);
      const SoftTarget kind{0, 0, false};
      traffic("soft targets forward", 1, 8 * numbers, [&] {
        k_.soft_target_forward(*stream_, signal.data(), target_lse.data(), logits.data(), lse.data(), targets.data(),
                               labels.data(), rows, vocabulary, kind);
      });
      traffic("soft targets backward", 1, 10 * numbers, [&] {
        k_.soft_target_backward(*stream_, dlogits.data(), logits.data(), lse.data(), targets.data(), target_lse.data(),
                                labels.data(), dsignal.data(), rows, vocabulary, kind);
      });
      traffic("moments of log-probabilities", 1, 4 * numbers, [&] {
        k_.log_prob_moments(*stream_, signal.data(), target_lse.data(), logits.data(), lse.data(), rows, vocabulary);
      });
      for (const int top_k : {0, 50})
        traffic(fmt::format("drawn labels, top-k {}", top_k), 1, 4 * numbers, [&] {
          k_.sample_labels(*stream_, ids.data(), logits.data(), labels.data(), uniform.data(), rows, vocabulary,
                           {top_k, 1, vocabulary});
        });
    }
    const auto hidden = random<bf16>(size(n_, s_.dim)), target = random<bf16>(size(n_, s_.dim));
    const auto dsignal = random<float>(size(n_));
    Buffer<float> signal(device_, size(n_));
    Buffer<bf16> dhidden(device_, hidden.size());
    const double row_bytes = element * n_ * s_.dim;
    traffic("distance forward", 1, 2 * row_bytes,
            [&] { k_.distance_forward(*stream_, signal.data(), hidden.data(), target.data(), false, n_, s_.dim); });
    traffic("distance backward", 1, 3 * row_bytes, [&] {
      k_.distance_backward(*stream_, dhidden.data(), hidden.data(), target.data(), false, dsignal.data(), n_, s_.dim);
    });
    bench_cache();
  }

  void bench_cache() {
    constexpr int kSequences = 64;
    const AttentionShape shape = attention();
    const int row = 2 * shape.kv_heads * shape.head_size;
    std::vector<std::int32_t> starts(kSequences);
    for (int s = 0; s < kSequences; ++s) starts[size(s)] = s * s_.length;
    const auto first = upload(starts), lengths = upload(std::vector<std::int32_t>(kSequences, s_.length));
    auto cache = random<bf16>(size(kSequences, s_.length, row));
    const auto qkv = random<bf16>(size(kSequences, shape.qkv_width()));
    Buffer<bf16> out(device_, size(kSequences, shape.heads, shape.head_size));
    const double bytes = sizeof(bf16);
    traffic(fmt::format("cached attention, {} sequences", kSequences), 1, bytes * static_cast<double>(cache.size()), [&] {
      k_.attention_cached_forward(*stream_, out.data(), qkv.data(), cache.data(), first.data(), lengths.data(), kSequences,
                                  shape);
    });
    traffic("keys and values into the cache", 1, 2 * bytes * kSequences * row,
            [&] { k_.cache_store(*stream_, cache.data(), qkv.data(), first.data(), kSequences, shape); });
  }

  AttentionShape attention() const { return {s_.heads, s_.kv_heads, s_.dim / s_.heads}; }

  const GpuShape& s_;
  Device device_;
  std::unique_ptr<Stream> stream_;
  const Kernels<bf16>& k_;
  int n_;  // tokens of a micro-batch
  double copy_rate_ = 0, product_rate_ = 0, micro_batch_ = 0;
};

}  // namespace

void bench_kernels(const GpuShape& shape, Device device) {
  fmt::print("\n== {}: kernels at {} tokens in two sequences, bfloat16\n", shape.name, shape.micro_batch_tokens());
  KernelBench(shape, device).run();
}

}  // namespace expunge::bench
