// Writing checkpoints while training goes on: a copy in memory, a thread that writes it, and the ranks' agreement on the
// result.
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

/// Two phases: every rank's I/O thread writes its shard file; when all have, rank 0's completes the folder and makes it live.
/// Between them ranks agree, in the thread that does all their collectives: no rank publishes what another could not write.
template <typename A>
class CheckpointWriter {
 public:
  /// Keeps the newest `keep` checkpoints (0: all), each with copies of those of `logs` that exist.
  CheckpointWriter(const Runtime& runtime, std::filesystem::path checkpoints, std::int64_t keep,
                   std::vector<std::filesystem::path> logs, IoThread& io);

  /// Gets the memory of copies in the I/O thread. Without it the first checkpoint waits for that: the system finds and clears
  /// pages a good deal slower than they are copied to.
  void reserve(const StateShards<A>& state);

  // Collective, each throwing Error(output) on every rank when a rank's part of a checkpoint could not be written. Earlier
  // checkpoints are then as they were, and the space is given back.

  /// Starts writing; an earlier checkpoint is finished first. With `copy` the shards may change as soon as this returns, else
  /// only after finish().
  void start(const CheckpointInfo& info, const StateShards<A>& state, bool copy);
  /// Goes on where every rank has come to the end of a phase: `busiest` is the largest of the ranks' busy().
  void advance(double busiest);
  /// Waits until the checkpoint is live.
  void finish();

  /// The checkpoint of this step, written next or there already, is kept whatever the limit, until another is preferred; then
  /// it goes, once that one is live, unless `keep_former`.
  void prefer(std::int64_t step, bool keep_former);
  /// -1 before the first.
  std::int64_t preferred() const { return preferred_; }

  /// 1 while this rank writes, 0 when it has nothing to do or waits for others.
  double busy() const { return ready_ ? 0 : 1; }
  bool idle() const { return phase_ == Phase::idle; }
  /// What the last checkpoint took, from start to end.
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
