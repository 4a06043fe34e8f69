// Collectives between the ranks of a job, ordered on a stream.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "expunge/device.h"
#include "expunge/dtype.h"

namespace expunge {

enum class Reduce { sum, max, min };

/// Every rank calls the same collectives in the same order. A collective that makes no progress for the time limit, or a
/// lost rank, throws Error(collective) from the stream. Data is read and written when the stream reaches the call.
class Communicator {
 public:
  /// Lengths of gathered and scattered shards are multiples of this many bytes.
  static constexpr std::size_t kShardAlignment = 128;

  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// A single rank may use its shard as the whole, without a call.
  virtual bool whole_is_shard() const = 0;
  /// A single rank makes the calls all the same, in place on its shards, so that one device runs what many run.
  virtual bool calls_when_alone() const { return false; }

  /// whole (size x bytes) = every rank's shard (bytes), in rank order. The shard may lie in its place in whole.
  virtual void all_gather(Stream&, void* whole, const void* shard, std::size_t bytes) = 0;
  /// shard (n) = sum over ranks of their whole (size x n) at this rank's place; added up in a fixed order in shard's type.
  virtual void reduce_scatter(Stream&, float* shard, const float* whole, std::size_t n) = 0;
  virtual void reduce_scatter(Stream&, double* shard, const double* whole, std::size_t n) = 0;
  virtual void reduce_scatter(Stream&, float* shard, const bf16* whole, std::size_t n) = 0;
  /// Host memory, in place.
  virtual void all_reduce(Stream&, std::span<double> values, Reduce) = 0;
  /// Host memory.
  virtual void broadcast(Stream&, void* data, std::size_t bytes, int root) = 0;
};

/// The ranks of MPI_COMM_WORLD, on the CPU. Calls no MPI function but from the stream it is handed, so one communication
/// stream is one thread that talks to MPI. `time_limit_s`: for a collective without progress.
std::unique_ptr<Communicator> make_mpi_communicator(double time_limit_s = 1800);

/// Ranks that may share a GPU: `host`'s collectives on host memory, to and from which device memory is copied in the stream's
/// order. The host waits for each, so nothing overlaps.
std::unique_ptr<Communicator> make_staged_communicator(std::unique_ptr<Communicator> host);

/// Whether this build has NCCL.
bool has_nccl();
struct NcclOptions {
  double time_limit_s = 1800;  ///< for a collective without progress
  /// Called from another thread, with a line for the user, when a collective fails or hangs, before the communicator is
  /// aborted; unset: prints it and ends all ranks with exit code 6.
  std::function<void(const std::string& message)> end_job = {};
  /// Adds bfloat16 parts of all ranks in fp32, in rank order: sum (n), parts (ranks, n). NCCL's own sum rounds each time.
  std::function<void(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n)> sum_parts = {};
};
/// Ranks with a GPU each, on CUDA streams: NCCL, bootstrapped by a broadcast over `host`, which host memory keeps using. Throws
/// Error(usage) in a build without NCCL.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, int device,
                                                     const NcclOptions& options = {});

/// What a rank computes and talks with.
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
/// Runs `work` on rank 0 alone and gives its result to all; an Error thrown there is thrown on every rank.
/// The text of the first rank whose text is not empty, on every rank; empty where all are. Collective.
std::string first_text(const Runtime&, const std::string& mine);
std::string on_root(const Runtime&, const std::function<std::string()>& work);

}  // namespace expunge
