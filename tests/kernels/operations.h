// The kernels as operations of one form, forward(inputs) and backward(inputs, outputs, dy), so that one check serves all.
#pragma once

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "testing.h"

namespace expunge::testing {

// Every operation has
//   name()      for messages
//   inputs()    the size of each differentiable input
//   forward<T>  (inputs) -> y, then what the backward pass saves
//   backward<T> (inputs, outputs, dy) -> the gradient of each input
// and kRoundedToT, whether y is stored as T rather than in the accumulation type.

struct Linear {
  int n, in, out;
  static constexpr bool kRoundedToT = true;
  std::string name() const { return fmt::format("linear n={} in={} out={}", n, in, out); }
  std::vector<std::size_t> inputs() const { return {std::size_t(n * in), std::size_t(out * in)}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<T> y(std::size_t(n * out));
    table<T>().linear_forward(stream(), y.data(), on_device(narrow<T>(inputs[0])).data(),
                              on_device(narrow<T>(inputs[1])).data(), nullptr, n, in, out);
    return {widen<wide_t<T>>(y)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>&, const std::vector<double>& dy) const {
    Array<T> dx(inputs[0].size());
    Array<acc_t<T>> dw(inputs[1].size());
    table<T>().linear_backward(stream(), dx.data(), dw.data(), on_device(narrow<T>(dy)).data(),
                               on_device(narrow<T>(inputs[0])).data(), on_device(narrow<T>(inputs[1])).data(), n, in, out,
                               Write::set);
    return {widen<double>(dx), widen<double>(dw)};
  }
};

/// Its gradient is that of Linear.
struct Logits {
  int n, dim, vocabulary;
  static constexpr bool kRoundedToT = false;
  std::string name() const { return fmt::format("logits n={} dim={} vocabulary={}", n, dim, vocabulary); }
  std::vector<std::size_t> inputs() const { return {std::size_t(n * dim), std::size_t(vocabulary * dim)}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<acc_t<T>> logits(std::size_t(n * vocabulary));
    table<T>().logits_forward(stream(), logits.data(), on_device(narrow<T>(inputs[0])).data(),
                              on_device(narrow<T>(inputs[1])).data(), n, dim, vocabulary);
    return {widen<wide_t<T>>(logits)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>& outputs, const std::vector<double>& dy) const {
    return Linear{n, dim, vocabulary}.backward<T>(inputs, outputs, dy);
  }
};

struct Embedding {
  int vocabulary, dim;
  std::vector<std::int32_t> ids;
  static constexpr bool kRoundedToT = true;
  std::string name() const { return fmt::format("embedding vocabulary={} dim={} n={}", vocabulary, dim, ids.size()); }
  std::vector<std::size_t> inputs() const { return {std::size_t(vocabulary * dim)}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<T> y(ids.size() * std::size_t(dim));
    table<T>().embedding_forward(stream(), y.data(), on_device(narrow<T>(inputs[0])).data(), on_device(ids).data(),
                                 int(ids.size()), dim);
    return {widen<wide_t<T>>(y)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>&, const std::vector<double>& dy) const {
    Array<acc_t<T>> dtable(inputs[0].size());
    table<T>().embedding_backward(stream(), dtable.data(), on_device(narrow<T>(dy)).data(), on_device(ids).data(),
                                  int(ids.size()), dim);
    return {widen<double>(dtable)};
  }
};

struct RmsNorm {
  int n, dim;
  static constexpr bool kRoundedToT = true;
  std::string name() const { return fmt::format("rms_norm n={} dim={}", n, dim); }
  std::vector<std::size_t> inputs() const { return {std::size_t(n * dim), std::size_t(dim)}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<T> y(inputs[0].size());
    Array<acc_t<T>> rstd(static_cast<std::size_t>(n));
    table<T>().rms_norm_forward(stream(), y.data(), rstd.data(), on_device(narrow<T>(inputs[0])).data(),
                                on_device(narrow<T>(inputs[1])).data(), n, dim, 1e-5);
    return {widen<wide_t<T>>(y), widen<wide_t<T>>(rstd)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>& outputs, const std::vector<double>& dy) const {
    Array<T> dx(inputs[0].size());
    Array<acc_t<T>> dw(inputs[1].size());
    table<T>().rms_norm_backward(stream(), dx.data(), dw.data(), on_device(narrow<T>(dy)).data(),
                                 on_device(narrow<T>(inputs[0])).data(), on_device(narrow<T>(inputs[1])).data(),
                                 on_device(narrow<acc_t<T>>(outputs[1])).data(), n, dim, Write::set);
    return {widen<double>(dx), widen<double>(dw)};
  }
};

struct Rope {
  AttentionShape shape;
  std::vector<std::int32_t> positions;
  static constexpr bool kRoundedToT = true;
  int n() const { return int(positions.size()); }
  std::string name() const {
    return fmt::format("rope n={} H={} K={} E={}", n(), shape.heads, shape.kv_heads, shape.head_size);
  }
  std::vector<std::size_t> inputs() const { return {positions.size() * std::size_t(shape.qkv_width())}; }
  /// Angles in double precision for all types: their rounding is tested by itself.
  template <Element T>
  std::vector<acc_t<T>> cos_sin() const {
    Array<double> values(positions.size() * std::size_t(shape.head_size));
    table<double>().rope_table(stream(), values.data(), on_device(positions).data(), n(), shape.head_size, 10000);
    return narrow<acc_t<T>>(values.host());
  }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<T> qkv = on_device(narrow<T>(inputs[0]));
    table<T>().rope_forward(stream(), qkv.data(), on_device(cos_sin<T>()).data(), n(), shape);
    return {widen<wide_t<T>>(qkv)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>&, const Arrays<double>&, const std::vector<double>& dy) const {
    Array<T> dqkv = on_device(narrow<T>(dy));
    table<T>().rope_backward(stream(), dqkv.data(), on_device(cos_sin<T>()).data(), n(), shape);
    return {widen<double>(dqkv)};
  }
};

struct Attention {
  AttentionShape shape;
  std::vector<int> lengths;
  static constexpr bool kRoundedToT = true;
  std::vector<std::int32_t> offsets() const {
    std::vector<std::int32_t> result{0};
    for (const int length : lengths) result.push_back(result.back() + length);
    return result;
  }
  std::size_t tokens() const { return std::size_t(offsets().back()); }
  std::string name() const {
    return fmt::format("attention H={} K={} E={} lengths={}", shape.heads, shape.kv_heads, shape.head_size,
                       fmt::join(lengths, ","));
  }
  std::vector<std::size_t> inputs() const { return {tokens() * std::size_t(shape.qkv_width())}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<T> out(tokens() * std::size_t(shape.heads * shape.head_size));
    Array<acc_t<T>> lse(tokens() * std::size_t(shape.heads));
    table<T>().attention_forward(stream(), out.data(), lse.data(), on_device(narrow<T>(inputs[0])).data(),
                                 on_device(offsets()).data(), int(lengths.size()), int(tokens()), shape);
    return {widen<wide_t<T>>(out), widen<wide_t<T>>(lse)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>& outputs, const std::vector<double>& dy) const {
    Array<T> dqkv(inputs[0].size());
    table<T>().attention_backward(stream(), dqkv.data(), on_device(narrow<T>(dy)).data(),
                                  on_device(narrow<T>(inputs[0])).data(), on_device(narrow<T>(outputs[0])).data(),
                                  on_device(narrow<acc_t<T>>(outputs[1])).data(), on_device(offsets()).data(),
                                  int(lengths.size()), int(tokens()), shape);
    return {widen<double>(dqkv)};
  }
};

struct SwiGlu {
  int n, mlp;
  static constexpr bool kRoundedToT = true;
  std::string name() const { return fmt::format("swiglu n={} mlp={}", n, mlp); }
  std::vector<std::size_t> inputs() const { return {std::size_t(2 * n * mlp)}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<T> y(std::size_t(n * mlp));
    table<T>().swiglu_forward(stream(), y.data(), on_device(narrow<T>(inputs[0])).data(), n, mlp);
    return {widen<wide_t<T>>(y)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>&, const std::vector<double>& dy) const {
    Array<T> dgate_up(inputs[0].size());
    table<T>().swiglu_backward(stream(), dgate_up.data(), on_device(narrow<T>(dy)).data(),
                               on_device(narrow<T>(inputs[0])).data(), n, mlp);
    return {widen<double>(dgate_up)};
  }
};

struct Nll {
  int vocabulary;
  std::vector<std::int32_t> labels;
  static constexpr bool kRoundedToT = false;
  int n() const { return int(labels.size()); }
  std::string name() const { return fmt::format("nll n={} vocabulary={}", n(), vocabulary); }
  std::vector<std::size_t> inputs() const { return {labels.size() * std::size_t(vocabulary)}; }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<acc_t<T>> nll(labels.size()), lse(labels.size());
    Array<std::int32_t> prediction(labels.size());
    table<T>().nll_forward(stream(), nll.data(), lse.data(), prediction.data(), on_device(narrow<acc_t<T>>(inputs[0])).data(),
                           on_device(labels).data(), n(), vocabulary);
    return {widen<wide_t<T>>(nll), widen<wide_t<T>>(lse)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>& outputs, const std::vector<double>& dy) const {
    Array<T> dlogits(inputs[0].size());
    table<T>().nll_backward(stream(), dlogits.data(), on_device(narrow<acc_t<T>>(inputs[0])).data(),
                            on_device(narrow<acc_t<T>>(outputs[1])).data(), on_device(labels).data(),
                            on_device(narrow<acc_t<T>>(dy)).data(), n(), vocabulary);
    return {widen<double>(dlogits)};
  }
};

/// The target is a constant of the operation, as it is for the kernel: complex steps do not reach it.
struct SoftTargets {
  int vocabulary;
  std::vector<std::int32_t> labels;
  SoftTarget objective;
  static constexpr bool kRoundedToT = false;
  int n() const { return int(labels.size()); }
  std::string name() const {
    return fmt::format("soft_target n={} vocabulary={} shift={} epsilon={} entropy={}", n(), vocabulary, objective.label_shift,
                       objective.epsilon, objective.subtract_entropy);
  }
  std::vector<std::size_t> inputs() const { return {labels.size() * std::size_t(vocabulary)}; }
  template <Element T>
  std::vector<acc_t<T>> target() const {
    return narrow<acc_t<T>>(rounded<bf16>(random_values(labels.size() * std::size_t(vocabulary), 5)));
  }
  /// In wide precision for all types: its rounding is tested by itself.
  template <typename W>
  std::vector<W> log_sum_exp(const std::vector<W>& logits) const {
    Array<W> nll(labels.size()), lse(labels.size());
    Array<std::int32_t> prediction(labels.size());
    table<W>().nll_forward(stream(), nll.data(), lse.data(), prediction.data(), on_device(logits).data(),
                           on_device(labels).data(), n(), vocabulary);
    return lse.host();
  }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<acc_t<T>> signal(labels.size()), target_lse(labels.size());
    const auto lse = narrow<acc_t<T>>(log_sum_exp(inputs[0]));
    table<T>().soft_target_forward(stream(), signal.data(), target_lse.data(), on_device(narrow<acc_t<T>>(inputs[0])).data(),
                                   on_device(lse).data(), on_device(target<T>()).data(), on_device(labels).data(), n(),
                                   vocabulary, objective);
    return {widen<wide_t<T>>(signal), widen<wide_t<T>>(lse), widen<wide_t<T>>(target_lse)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>& outputs, const std::vector<double>& dy) const {
    Array<T> dlogits(inputs[0].size());
    table<T>().soft_target_backward(stream(), dlogits.data(), on_device(narrow<acc_t<T>>(inputs[0])).data(),
                                    on_device(narrow<acc_t<T>>(outputs[1])).data(), on_device(target<T>()).data(),
                                    on_device(narrow<acc_t<T>>(outputs[2])).data(), on_device(labels).data(),
                                    on_device(narrow<acc_t<T>>(dy)).data(), n(), vocabulary, objective);
    return {widen<double>(dlogits)};
  }
};

/// The target is a constant.
struct Distance {
  int n, dim;
  bool one_target;
  static constexpr bool kRoundedToT = false;
  std::string name() const { return fmt::format("distance n={} dim={} one_target={}", n, dim, one_target); }
  std::vector<std::size_t> inputs() const { return {std::size_t(n * dim)}; }
  template <Element T>
  std::vector<T> target() const {
    return narrow<T>(rounded<bf16>(random_values(std::size_t((one_target ? 1 : n) * dim), 5)));
  }
  template <Element T>
  Arrays<wide_t<T>> forward(const Arrays<wide_t<T>>& inputs) const {
    Array<acc_t<T>> signal(static_cast<std::size_t>(n));
    table<T>().distance_forward(stream(), signal.data(), on_device(narrow<T>(inputs[0])).data(), on_device(target<T>()).data(),
                                one_target, n, dim);
    return {widen<wide_t<T>>(signal)};
  }
  template <Element T>
  Arrays<double> backward(const Arrays<double>& inputs, const Arrays<double>&, const std::vector<double>& dy) const {
    Array<T> dh(inputs[0].size());
    table<T>().distance_backward(stream(), dh.data(), on_device(narrow<T>(inputs[0])).data(), on_device(target<T>()).data(),
                                 one_target, on_device(narrow<acc_t<T>>(dy)).data(), n, dim);
    return {widen<double>(dh)};
  }
};

/// Calls visit(operation) for every operation over a table of awkward shapes: none, one, primes, and just about block sizes.
template <typename Visit>
void for_each_operation(Visit visit) {
  for (const Linear& op : {Linear{0, 3, 2}, {1, 1, 1}, {1, 7, 5}, {5, 1, 3}, {13, 17, 11}, {64, 65, 63}, {97, 67, 131}})
    visit(op);
  for (const Logits& op : {Logits{0, 3, 2}, {1, 5, 1}, {11, 13, 101}}) visit(op);
  visit(Embedding{5, 3, {}});
  visit(Embedding{7, 1, {6}});
  visit(Embedding{11, 67, {3, 3, 0, 10, 3, 7}});
  for (const RmsNorm& op : {RmsNorm{0, 3}, {1, 2}, {1, 37}, {3, 16}, {29, 67}}) visit(op);
  visit(Rope{{1, 1, 2}, {}});
  visit(Rope{{3, 1, 10}, {0, 1, 2, 0, 4095}});
  visit(Rope{{4, 2, 34}, {7}});
  for (const AttentionShape& shape : {AttentionShape{1, 1, 2}, {3, 1, 10}, {4, 2, 6}, {2, 2, 18}})
    for (const std::vector<int>& lengths : {std::vector<int>{}, {0}, {1}, {1, 1}, {0, 5, 0, 7}, {1, 95, 96, 97, 200}, {193}})
      visit(Attention{shape, lengths});
  for (const SwiGlu& op : {SwiGlu{0, 3}, {1, 1}, {7, 53}, {2, 16}}) visit(op);
  visit(Nll{5, {}});
  visit(Nll{1, {0}});
  visit(Nll{31, {30, -1, 0, 7}});
  visit(Nll{4099, {4098, 17}});
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const SoftTarget& objective : {SoftTarget{0, 0, false},
                                      {0, 0, true},
                                      {1.5, 0, false},
                                      {kInfinity, 0, false},
                                      {kInfinity, 0, true},
                                      {0, 1e-3, true},
                                      {-3, 1e-2, true},
                                      {kInfinity, 0.25, false}}) {
    visit(SoftTargets{5, {}, objective});
    visit(SoftTargets{2, {0, 1}, objective});
    visit(SoftTargets{31, {30, -1, 0, 7}, objective});
    visit(SoftTargets{4099, {4098, 17, 2048}, objective});
  }
  for (const bool one_target : {false, true})
    for (const auto& [n, dim] : {std::pair{0, 3}, {1, 1}, {5, 67}}) visit(Distance{n, dim, one_target});
}

}  // namespace expunge::testing
