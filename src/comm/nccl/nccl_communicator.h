// Collectives over NCCL on CUDA streams; a watchdog ends the job if one fails or makes no progress.
#pragma once

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "comm/mpi_environment.h"
#include "comm/polling.h"
#include "core/cuda/cuda_stream.h"
#include "expunge/communicator.h"
#include "expunge/error.h"

namespace expunge {

/// `Library` names the NCCL whose headers are included: NCCL itself, or a test's stand-in. They make different classes.
template <typename Library>
class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, int device, const NcclOptions& options)
      : host_(std::move(host)), device_(device), options_(options) {
    if (!options_.end_job) options_.end_job = report_and_abort;
    ncclUniqueId id{};
    // Sums computed in an NVSwitch have no guaranteed order.
    setenv("NCCL_NVLS_ENABLE", "0", 0);
    // Tell every rank whether rank 0 has an id; otherwise the others would wait for it.
    ncclResult_t made = rank() == 0 ? ncclGetUniqueId(&id) : ncclSuccess;
    host_->broadcast(*host_stream_, &made, sizeof(made), 0);
    must(made, "ncclGetUniqueId");
    host_->broadcast(*host_stream_, &id, sizeof(id), 0);
    cuda::must(cudaSetDevice(device_), "cudaSetDevice");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle(ncclCommInitRankConfig(&comm_, size(), id, rank(), &config), "ncclCommInitRankConfig");
    watchdog_ = std::thread([this] { watch(); });
  }

  ~NcclCommunicator() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    if (watchdog_.joinable()) watchdog_.join();
    for (const Flight& flight : flights_) cudaEventDestroy(flight.done);
    for (const cudaEvent_t event : free_events_) cudaEventDestroy(event);
    // Ranks that end together finalize; a rank that ends with an error must not wait for the others.
    if (std::uncaught_exceptions() > 0 || aborted_)
      abort();
    else if (finalize())
      ncclCommDestroy(comm_);
  }

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  bool whole_is_shard() const override { return size() == 1; }
  bool calls_when_alone() const override { return true; }

  void all_gather(Stream& stream, void* whole, const void* shard, std::size_t bytes) override {
    issue(stream, "all-gather", [&](cudaStream_t on) { return ncclAllGather(shard, whole, bytes, ncclUint8, comm_, on); });
  }
  void reduce_scatter(Stream& stream, float* shard, const float* whole, std::size_t n) override {
    issue(stream, "reduce-scatter",
          [&](cudaStream_t on) { return ncclReduceScatter(whole, shard, n, ncclFloat32, ncclSum, comm_, on); });
  }
  void reduce_scatter(Stream& stream, double* shard, const double* whole, std::size_t n) override {
    issue(stream, "reduce-scatter",
          [&](cudaStream_t on) { return ncclReduceScatter(whole, shard, n, ncclFloat64, ncclSum, comm_, on); });
  }

  /// NCCL's bfloat16 sum rounds after each addition. Therefore exchange the parts and add them in fp32, in rank order.
  void reduce_scatter(Stream& stream, float* shard, const bf16* whole, std::size_t n) override {
    const auto ranks = static_cast<std::size_t>(size());
    if (received_.size() < n * ranks) {
      stream.synchronize();  // the old buffer may be in use
      received_ = Buffer<bf16>(stream.device(), n * ranks);
    }
    issue(stream, "reduce-scatter in bfloat16", [&](cudaStream_t on) {
      must(ncclGroupStart(), "ncclGroupStart");
      ncclResult_t result = ncclSuccess;
      for (int peer = 0; peer < size() && taken(result); ++peer) {
        const std::size_t at = static_cast<std::size_t>(peer) * n;
        result = ncclSend(whole + at, n, ncclBfloat16, peer, comm_, on);
        if (taken(result)) result = ncclRecv(received_.data() + at, n, ncclBfloat16, peer, comm_, on);
      }
      const ncclResult_t ended = ncclGroupEnd();  // always: an open group would swallow the abort of the communicator
      return taken(result) ? ended : result;
    });
    options_.sum_parts(stream, shard, received_.data(), size(), n);
  }

  // Host values never go through NCCL, and device memory never goes through MPI.
  void all_reduce(Stream&, std::span<double> values, Reduce reduce) override {
    host_->all_reduce(*host_stream_, values, reduce);
  }
  void broadcast(Stream&, void* data, std::size_t bytes, int root) override {
    host_->broadcast(*host_stream_, data, bytes, root);
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// A collective that the stream has not completed yet.
  struct Flight {
    cudaEvent_t done;
    const char* name;
  };

  static void report_and_abort(const std::string& message) {
    std::fputs(message.c_str(), stderr);
    std::fflush(stderr);
    MpiEnvironment::abort(static_cast<int>(ExitCode::collective));
  }

  static bool taken(ncclResult_t result) { return result == ncclSuccess || result == ncclInProgress; }

  void must(ncclResult_t result, const char* call) {
    if (taken(result)) return;
    const std::string reason = comm_ ? ncclGetLastError(comm_) : "";
    fail(result == ncclInvalidArgument || result == ncclInvalidUsage ? ExitCode::internal : ExitCode::collective,
         fmt::format("{}: {}{}{}", call, ncclGetErrorString(result), reason.empty() ? "" : ": ", reason));
  }

  /// Waits until NCCL has accepted a non-blocking call; the collective itself may still run.
  void settle(ncclResult_t result, const char* call) {
    for (Polling polling; result == ncclInProgress; polling.pause()) {
      if (polling.seconds() > options_.time_limit_s) {
        give_up(no_progress(call));
        fail(ExitCode::collective, no_progress(call));
      }
      if (const ncclResult_t asked = ncclCommGetAsyncError(comm_, &result); asked != ncclSuccess) result = asked;
    }
    must(result, call);
  }

  template <typename Call>
  void issue(Stream& stream, const char* name, Call call) {
    const cudaStream_t on = cuda::handle(stream);
    const std::lock_guard lock(mutex_);
    if (aborted_) fail(ExitCode::collective, fmt::format("{}: the communicator was aborted", name));
    settle(call(on), name);
    const cudaEvent_t done = take_event();
    cuda::must(cudaEventRecord(done, on), "cudaEventRecord");
    if (flights_.empty()) progress_ = Clock::now();
    flights_.push_back({done, name});
    wake_.notify_one();
  }

  cudaEvent_t take_event() {
    cudaEvent_t event{};
    if (free_events_.empty()) {
      cuda::must(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    } else {
      event = free_events_.back();
      free_events_.pop_back();
    }
    return event;
  }

  /// Watches for errors of peers and for hanging collectives; a rank that waits for its GPU sees neither.
  void watch() {
    std::unique_lock lock(mutex_);
    cudaSetDevice(device_);
    while (!closing_) {
      if (flights_.empty())
        wake_.wait(lock);
      else
        wake_.wait_for(lock, std::chrono::milliseconds(20));
      while (!flights_.empty() && cudaEventQuery(flights_.front().done) != cudaErrorNotReady) {
        free_events_.push_back(flights_.front().done);
        flights_.pop_front();
        progress_ = Clock::now();
      }
      if (flights_.empty() || closing_) continue;
      ncclResult_t state = ncclSuccess;
      const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
      const ncclResult_t result = asked != ncclSuccess ? asked : state;
      const char* const name = flights_.front().name;
      std::string problem;
      if (result != ncclSuccess && result != ncclInProgress)
        problem = fmt::format("{}: {}", name, ncclGetErrorString(result));
      else if (Clock::now() - progress_ > std::chrono::duration<double>(options_.time_limit_s))
        problem = no_progress(name);
      if (problem.empty()) continue;
      give_up(problem);
      return;
    }
  }

  std::string no_progress(const char* name) const {
    return fmt::format("{}: no progress for {:.0f} s; a rank is lost or hangs", name, options_.time_limit_s);
  }

  /// Ends the job before aborting NCCL, because the abort may wait for a lost peer. Normally does not return.
  void give_up(const std::string& problem) {
    options_.end_job(fmt::format("expunge: error on rank {} of {}: NCCL {}\n", rank(), size(), problem));
    abort();
  }

  void abort() {
    if (!aborted_.exchange(true)) ncclCommAbort(comm_);
  }

  /// Finalizes within the time limit; false if the communicator had to be aborted.
  bool finalize() {
    try {
      settle(ncclCommFinalize(comm_), "ncclCommFinalize");
    } catch (const Error&) {
      abort();
      return false;
    }
    return true;
  }

  std::unique_ptr<Communicator> host_;
  std::unique_ptr<Stream> host_stream_ = make_inline_stream();
  int device_;
  NcclOptions options_;
  ncclComm_t comm_{};
  Buffer<bf16> received_;
  std::atomic<bool> aborted_ = false;

  std::mutex mutex_;  // guards the members below, and NCCL calls on comm_
  std::condition_variable wake_;
  bool closing_ = false;
  std::deque<Flight> flights_;
  std::vector<cudaEvent_t> free_events_;
  Clock::time_point progress_ = Clock::now();
  std::thread watchdog_;
};

}  // namespace expunge
