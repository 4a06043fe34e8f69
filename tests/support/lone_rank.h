// For tests: a runtime of one rank without MPI.
#pragma once

#include <cstring>
#include <memory>

#include "expunge/communicator.h"

namespace expunge {

/// A communicator of one rank: every collective is a copy or nothing.
class LoneCommunicator final : public Communicator {
 public:
  /// With `whole_is_shard` false, parameters go through slots and collectives although there is one rank.
  explicit LoneCommunicator(bool whole_is_shard) : whole_is_shard_(whole_is_shard) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  bool whole_is_shard() const override { return whole_is_shard_; }
  void all_gather(Stream& stream, void* whole, const void* shard, std::size_t bytes) override {
    if (whole != shard) copy_bytes(stream, whole, shard, bytes);
  }
  void reduce_scatter(Stream& stream, float* shard, const float* whole, std::size_t n) override {
    convert(stream, shard, whole, n);
  }
  void reduce_scatter(Stream& stream, double* shard, const double* whole, std::size_t n) override {
    convert(stream, shard, whole, n);
  }
  void reduce_scatter(Stream& stream, float* shard, const bf16* whole, std::size_t n) override {
    convert(stream, shard, whole, n);
  }
  void all_reduce(Stream&, std::span<double>, Reduce) override {}
  void broadcast(Stream&, void*, std::size_t, int) override {}

 private:
  template <typename To, typename From>
  static void convert(Stream& stream, To* to, const From* from, std::size_t n) {
    stream.enqueue([=] {
      for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<To>(from[i]);
    });
  }
  bool whole_is_shard_;
};

/// One rank with a communication stream.
class LoneRank {
 public:
  explicit LoneRank(bool whole_is_shard = true, Device device = {})
      : compute_(device.type == DeviceType::cpu ? make_inline_stream() : make_cuda_stream(device.index)),
        communication_(device.type == DeviceType::cpu ? make_thread_stream() : make_cuda_stream(device.index)),
        comm_(whole_is_shard),
        runtime_{device, *compute_, *communication_, comm_} {}
  const Runtime& runtime() const { return runtime_; }

 private:
  std::unique_ptr<Stream> compute_, communication_;
  LoneCommunicator comm_;
  Runtime runtime_;
};

}  // namespace expunge
