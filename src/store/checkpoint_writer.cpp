// Runs the phases of writing a checkpoint.
#include "store/checkpoint_writer.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#include "expunge/error.h"
#include "io/files.h"

namespace expunge {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view kOutOfMemory = ": out of memory";
}

template <typename A>
CheckpointWriter<A>::CheckpointWriter(const Runtime& runtime, fs::path checkpoints, std::int64_t keep,
                                      std::vector<fs::path> logs, IoThread& io)
    : runtime_(runtime), checkpoints_(std::move(checkpoints)), keep_(keep), logs_(std::move(logs)), io_(io) {}

/// Runs `work` in the I/O thread and stores its error for the ranks' agreement.
template <typename A>
void CheckpointWriter<A>::in_background(std::function<void()> work) {
  failure_.clear();
  ready_ = false;
  io_.enqueue([this, work = std::move(work)] {
    try {
      work();
    } catch (const std::bad_alloc&) {
      failure_ = fmt::format("rank {}{}", runtime_.comm.rank(), kOutOfMemory);
    } catch (const std::exception& error) {
      failure_ = fmt::format("rank {}: {}", runtime_.comm.rank(), error.what());
    }
    ready_ = true;
  });
}

template <typename A>
void CheckpointWriter<A>::reserve(const StateShards<A>& state) {
  allocate_copy(state);
  for (const Buffer<A>& buffer : buffers_)
    io_.enqueue([begin = buffer.data(), bytes = buffer.bytes()] {
      // Touch whole pages within the buffer. Their contents stay, so a copy may already run. Older kernels ignore this.
      const auto first = reinterpret_cast<std::uintptr_t>(begin), page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
      const std::uintptr_t from = (first + page - 1) / page * page, to = (first + bytes) / page * page;
      if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_POPULATE_WRITE);
    });
}

template <typename A>
void CheckpointWriter<A>::allocate_copy(const StateShards<A>& state) {
  copy_.units = state.units;
  const std::vector<std::span<A>>* const from[] = {&state.parameters, &state.exp_avg, &state.exp_avg_sq};
  std::vector<std::span<A>>* const to[] = {&copy_.parameters, &copy_.exp_avg, &copy_.exp_avg_sq};
  for (std::size_t g = 0; g < std::size(from); ++g)
    for (const std::span<A>& shard : *from[g]) {
      Buffer<A>& buffer = buffers_.emplace_back(Device{}, shard.size());
      to[g]->push_back({buffer.data(), buffer.size()});
    }
}

template <typename A>
const StateShards<A>& CheckpointWriter<A>::copy_of(const StateShards<A>& state) {
  if (buffers_.empty()) allocate_copy(state);
  const auto copy = [this](const std::vector<std::span<A>>& from, const std::vector<std::span<A>>& to) {
    for (std::size_t u = 0; u < from.size(); ++u)
      copy_to_host(runtime_.compute, to[u].data(), from[u].data(), from[u].size_bytes());
  };
  copy(state.parameters, copy_.parameters);
  copy(state.exp_avg, copy_.exp_avg);
  copy(state.exp_avg_sq, copy_.exp_avg_sq);
  runtime_.compute.synchronize();
  return copy_;
}

template <typename A>
void CheckpointWriter<A>::start(const CheckpointInfo& info, const StateShards<A>& state, bool copy) {
  finish();
  began_ = std::chrono::steady_clock::now();
  const std::string name = step_name(info.step);
  writing_ = on_root(runtime_, [&] {
    const fs::path folder = staging_.emplace(checkpoints_, name).folder() / name;
    make_folder(folder);
    return folder.string();
  });
  info_ = info;
  const bool on_host = runtime_.device.type == DeviceType::cpu;
  state_ = copy || !on_host ? copy_of(state) : state;
  phase_ = Phase::writing;
  in_background([this, shard = writing_ / shard_name(runtime_.comm.rank(), info.world_size)] {
    written_ = write_shards(shard, state_, [this] { return io_.stopping(); });
  });
}

template <typename A>
void CheckpointWriter<A>::advance(double busiest) {
  if (phase_ == Phase::idle || busiest > 0) return;
  if (const std::string failure = first_text(runtime_, failure_); !failure.empty()) give_up(failure);
  if (phase_ == Phase::writing) return begin_publishing();
  phase_ = Phase::idle;
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

/// Rank 0 collects sizes and hashes of all files and publishes them alone.
template <typename A>
void CheckpointWriter<A>::begin_publishing() {
  const auto world = static_cast<std::size_t>(runtime_.comm.size()), rank = static_cast<std::size_t>(runtime_.comm.rank());
  // Send numbers that a double holds exactly: the size, then the hash in 32-bit words.
  constexpr std::size_t kWords = 8, kDigits = 8, kNumbers = 1 + kWords;
  std::vector<double> numbers(kNumbers * world);
  numbers[kNumbers * rank] = static_cast<double>(written_.bytes);
  for (std::size_t word = 0; word < kWords; ++word)
    numbers[kNumbers * rank + 1 + word] =
        static_cast<double>(std::stoul(written_.checksum.substr(kDigits * word, kDigits), nullptr, 16));
  all_reduce(runtime_, numbers, Reduce::sum);
  phase_ = Phase::publishing;
  if (rank != 0) return;
  std::vector<ManifestFile> shards;
  for (std::size_t r = 0; r < world; ++r) {
    ManifestFile shard{
        shard_name(static_cast<std::int64_t>(r), info_.world_size), static_cast<std::uint64_t>(numbers[kNumbers * r]), {}};
    for (std::size_t word = 0; word < kWords; ++word)
      shard.checksum += fmt::format("{:08x}", static_cast<std::uint32_t>(numbers[kNumbers * r + 1 + word]));
    shards.push_back(std::move(shard));
  }
  in_background([this, shards = std::move(shards)] {
    std::vector<fs::path> logs;
    for (const fs::path& log : logs_)
      if (fs::exists(log)) logs.push_back(log);
    complete_checkpoint(writing_, info_, state_, shards, logs);
    publish_checkpoint(*staging_, checkpoints_ / step_name(info_.step), keep_, preferred_);
    staging_.reset();
    if (superseded_ >= 0) remove_checkpoint(checkpoints_ / step_name(superseded_));
    superseded_ = -1;
  });
}

template <typename A>
void CheckpointWriter<A>::prefer(std::int64_t step, bool keep_former) {
  finish();
  if (!keep_former && preferred_ != step) superseded_ = preferred_;
  preferred_ = step;
}

template <typename A>
void CheckpointWriter<A>::finish() {
  while (phase_ != Phase::idle) {
    io_.wait();
    advance(0);
  }
}

template <typename A>
void CheckpointWriter<A>::give_up(const std::string& reason) {
  phase_ = Phase::idle;
  staging_.reset();
  if (reason.ends_with(kOutOfMemory)) throw std::bad_alloc();
  const bool earlier = !list_checkpoints(checkpoints_).empty();
  fail(ExitCode::output,
       fmt::format("checkpoint of step {} was not written: {}; {}", info_.step, reason,
                   earlier ? "earlier checkpoints are intact: fix this and run the same command to resume from the newest"
                           : "there is no earlier one: fix this and run the same command to start again"));
}

template class CheckpointWriter<float>;
template class CheckpointWriter<double>;

}  // namespace expunge
