// Collectives between the ranks of a job, ordered on a stream.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "expunge/device.h"
#include "expunge/dtype.h"

namespace expunge {

enum class Reduce { sum, max, min };

/// Every rank calls the same collectives in the same order. Data is read and written when the stream reaches the call.
/// The stream throws Error(collective) if a rank is lost or a collective makes no progress for the time limit.
class Communicator {
 public:
  /// Lengths of gathered and scattered shards are multiples of this many bytes.
  static constexpr std::size_t kShardAlignment = 128;

  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// True for a single rank: it may use its shard as the whole, without a call.
  virtual bool whole_is_shard() const = 0;
  /// True if even a single rank calls the collectives, in place on its shards. One device then runs the code of many.
  virtual bool calls_when_alone() const { return false; }

  /// whole (size x bytes) = every rank's shard (bytes), in rank order. The shard may lie at its own place in whole.
  virtual void all_gather(Stream&, void* whole, const void* shard, std::size_t bytes) = 0;
  /// shard (n) = sum over ranks of this rank's n elements of whole (size x n); added in a fixed order in shard's type.
  virtual void reduce_scatter(Stream&, float* shard, const float* whole, std::size_t n) = 0;
  virtual void reduce_scatter(Stream&, double* shard, const double* whole, std::size_t n) = 0;
  virtual void reduce_scatter(Stream&, float* shard, const bf16* whole, std::size_t n) = 0;
  /// Host memory, in place.
  virtual void all_reduce(Stream&, std::span<double> values, Reduce) = 0;
  /// Host memory.
  virtual void broadcast(Stream&, void* data, std::size_t bytes, int root) = 0;
};

/// The ranks of MPI_COMM_WORLD, on the CPU. MPI functions are called only in the stream that is passed: one communication
/// stream is one MPI thread. `time_limit_s`: limit of a collective without progress.
std::unique_ptr<Communicator> make_mpi_communicator(double time_limit_s = 1800);

/// For ranks that share a GPU: copies device memory to the host, runs `host`'s collectives and copies back, in stream order.
/// The host waits for each collective, so communication and computation do not overlap.
std::unique_ptr<Communicator> make_staged_communicator(std::unique_ptr<Communicator> host);

/// Whether this build has NCCL.
bool has_nccl();
struct NcclOptions {
  double time_limit_s = 1800;  ///< for a collective without progress
  /// Called with a message for the user when a collective fails or hangs, from another thread, before the communicator is
  /// aborted. Unset: prints the message and ends all ranks with exit code 6.
  std::function<void(const std::string& message)> end_job = {};
  /// Adds the bfloat16 parts of all ranks in fp32, in rank order: sum (n), parts (ranks, n). NCCL would round each
  /// partial sum.
  std::function<void(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n)> sum_parts = {};
};
/// NCCL on CUDA streams, for ranks with a GPU each. `host` broadcasts NCCL's id and serves the collectives on host memory.
/// Throws Error(usage) in a build without NCCL.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, int device,
                                                     const NcclOptions& options = {});

/// The execution context of a rank: its device, its two streams and its communicator.
struct Runtime {
  Device device;
  Stream& compute;
  Stream& communication;
  Communicator& comm;
};

// Host conveniences: each waits for its result.
void barrier(const Runtime&);
double all_reduce(const Runtime&, double value, Reduce);
void all_reduce(const Runtime&, std::span<double> values, Reduce);
std::string broadcast(const Runtime&, std::string value, int root);
/// The first text that is not empty, in rank order, on every rank; empty if all are. Collective.
std::string first_text(const Runtime&, const std::string& mine);
/// on_root() for a text of any length.
std::string text_of_root(const Runtime&, const std::function<std::string()>& work);

/// Runs `work` on rank 0 alone and returns its result on every rank: nothing, a std::string or a trivially copyable value.
/// Every rank throws the Error that `work` throws. Collective.
template <typename Work>
std::invoke_result_t<const Work&> on_root(const Runtime& runtime, const Work& work) {
  using Result = std::invoke_result_t<const Work&>;
  if constexpr (std::is_void_v<Result>) {
    text_of_root(runtime, [&] {
      work();
      return std::string();
    });
  } else if constexpr (std::is_same_v<Result, std::string>) {
    return text_of_root(runtime, work);
  } else {
    static_assert(std::is_trivially_copyable_v<Result> && !std::is_pointer_v<Result>, "the result is sent as bytes");
    const std::string bytes = text_of_root(runtime, [&] {
      const Result result = work();
      return std::string(reinterpret_cast<const char*>(&result), sizeof(Result));
    });
    Result result;
    std::memcpy(&result, bytes.data(), sizeof(Result));
    return result;
  }
}

}  // namespace expunge
