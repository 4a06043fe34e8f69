// Writes checkpoints during training: a copy in memory, a thread that writes it, and the ranks' agreement on the result.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/checkpoint.h"
#include "store/checkpoint_files.h"
#include "store/io_thread.h"

namespace expunge {

/// Two phases: every rank's I/O thread writes its shard file; then rank 0's completes the folder and publishes it. In between
/// the ranks agree, in the thread of their collectives, so that no rank publishes what another failed to write.
template <typename A>
class CheckpointWriter {
 public:
  /// Keeps the newest `keep` checkpoints (0: all), each with copies of the existing files of `logs`.
  CheckpointWriter(const Runtime& runtime, std::filesystem::path checkpoints, std::int64_t keep,
                   std::vector<std::filesystem::path> logs, IoThread& io);

  /// Allocates the memory of copies in the I/O thread. Otherwise the first checkpoint waits for the system, which provides
  /// fresh pages much slower than they are filled.
  void reserve(const StateShards<A>& state);

  // Collective. Each throws Error(output) on every rank if a rank could not write its part. Earlier checkpoints then stay as
  // they were, and the space is freed.

  /// Starts writing, after finishing an earlier checkpoint. With `copy` the shards may change once this returns, otherwise
  /// only after finish().
  void start(const CheckpointInfo& info, const StateShards<A>& state, bool copy);
  /// Starts the next phase if every rank has finished the current one: `busiest` is the maximum of the ranks' busy().
  void advance(double busiest);
  /// Waits until the checkpoint is published.
  void finish();

  /// Keeps the checkpoint of this step, existing or next, regardless of the limit, until another one is preferred. The former
  /// one is then removed once the new one is live, unless `keep_former`.
  void prefer(std::int64_t step, bool keep_former);
  /// Step of the preferred checkpoint; -1 before the first.
  std::int64_t preferred() const { return preferred_; }

  /// 1 while this rank writes, 0 if it is idle or waits for others.
  double busy() const { return ready_ ? 0 : 1; }
  bool idle() const { return phase_ == Phase::idle; }
  /// Duration of the last checkpoint, from start to end.
  double seconds() const { return seconds_; }

 private:
  enum class Phase { idle, writing, publishing };
  void in_background(std::function<void()> work);
  void allocate_copy(const StateShards<A>& state);
  const StateShards<A>& copy_of(const StateShards<A>& state);
  void begin_publishing();
  void give_up(const std::string& reason);

  const Runtime& runtime_;
  std::filesystem::path checkpoints_;
  std::int64_t keep_;
  std::int64_t preferred_ = -1, superseded_ = -1;  // steps
  std::vector<std::filesystem::path> logs_;
  IoThread& io_;

  Phase phase_ = Phase::idle;
  std::optional<Staging> staging_;  // on rank 0, while a checkpoint is written
  std::filesystem::path writing_;   // the same folder, on all ranks
  CheckpointInfo info_;
  StateShards<A> state_, copy_;
  std::vector<Buffer<A>> buffers_;  // of the copy
  std::chrono::steady_clock::time_point began_;
  double seconds_ = 0;

  // Written by the I/O thread before it sets ready_.
  ManifestFile written_;
  std::string failure_;
  std::atomic<bool> ready_ = true;
};

}  // namespace expunge
