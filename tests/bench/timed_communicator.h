// A decorator over a communicator that adds up how long its stream spends in collectives.
#pragma once

#include <atomic>
#include <chrono>

#include "expunge/communicator.h"

namespace expunge::bench {

class TimedCommunicator final : public Communicator {
 public:
  explicit TimedCommunicator(Communicator& inner) : inner_(inner) {}
  /// Since the last call.
  double take_seconds() { return 1e-9 * static_cast<double>(nanoseconds_.exchange(0)); }

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  bool whole_is_shard() const override { return inner_.whole_is_shard(); }
  void all_gather(Stream& stream, void* whole, const void* shard, std::size_t bytes) override {
    timed(stream, [&] { inner_.all_gather(stream, whole, shard, bytes); });
  }
  void reduce_scatter(Stream& stream, float* shard, const float* whole, std::size_t n) override {
    timed(stream, [&] { inner_.reduce_scatter(stream, shard, whole, n); });
  }
  void reduce_scatter(Stream& stream, double* shard, const double* whole, std::size_t n) override {
    timed(stream, [&] { inner_.reduce_scatter(stream, shard, whole, n); });
  }
  void reduce_scatter(Stream& stream, float* shard, const bf16* whole, std::size_t n) override {
    timed(stream, [&] { inner_.reduce_scatter(stream, shard, whole, n); });
  }
  void all_reduce(Stream& stream, std::span<double> values, Reduce reduce) override {
    inner_.all_reduce(stream, values, reduce);
  }
  void broadcast(Stream& stream, void* data, std::size_t bytes, int root) override {
    inner_.broadcast(stream, data, bytes, root);
  }

 private:
  using Clock = std::chrono::steady_clock;
  /// The stream runs what is enqueued before, during and after the call one after the other.
  template <typename Call>
  void timed(Stream& stream, const Call& call) {
    stream.enqueue([this] { began_ = Clock::now(); });
    call();
    stream.enqueue([this] { nanoseconds_ += std::chrono::nanoseconds(Clock::now() - began_).count(); });
  }

  Communicator& inner_;
  Clock::time_point began_;  // touched by the communication stream alone
  std::atomic<std::int64_t> nanoseconds_ = 0;
};

}  // namespace expunge::bench
