// For tests: ranks as threads of one process, each with its streams and a communicator over host memory that they share.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <omp.h>

#include "expunge/communicator.h"
#include "expunge/error.h"

namespace expunge {

/// Host collectives of threads. Device collectives are NCCL's.
class ThreadHost {
 public:
  explicit ThreadHost(int ranks) : ranks_(ranks), barrier_(ranks), places_(static_cast<std::size_t>(ranks)) {}
  int ranks() const { return ranks_; }

  /// Calls read(all ranks' pointers) on every rank while all pointers are valid.
  void meet(int rank, void* mine, const std::function<void(const std::vector<void*>&)>& read) {
    places_[static_cast<std::size_t>(rank)] = mine;
    barrier_.arrive_and_wait();
    read(places_);
    barrier_.arrive_and_wait();
  }

 private:
  int ranks_;
  std::barrier<> barrier_;
  std::vector<void*> places_;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(ThreadHost& host, int rank) : host_(host), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return host_.ranks(); }
  bool whole_is_shard() const override { return size() == 1; }
  void all_gather(Stream&, void*, const void*, std::size_t) override { device_memory(); }
  void reduce_scatter(Stream&, float*, const float*, std::size_t) override { device_memory(); }
  void reduce_scatter(Stream&, double*, const double*, std::size_t) override { device_memory(); }
  void reduce_scatter(Stream&, float*, const bf16*, std::size_t) override { device_memory(); }
  void all_reduce(Stream&, std::span<double> values, Reduce reduce) override {
    std::vector<double> result(values.begin(), values.end());
    host_.meet(rank_, values.data(), [&](const std::vector<void*>& all) {
      for (std::size_t i = 0; i < result.size(); ++i)
        for (std::size_t r = 0; r < all.size(); ++r) {
          const double x = static_cast<const double*>(all[r])[i];
          result[i] = r == 0                  ? x
                      : reduce == Reduce::sum ? result[i] + x
                      : reduce == Reduce::max ? std::max(result[i], x)
                                              : std::min(result[i], x);
        }
    });
    std::copy(result.begin(), result.end(), values.begin());
  }
  void broadcast(Stream&, void* data, std::size_t bytes, int root) override {
    host_.meet(rank_, data, [&](const std::vector<void*>& all) {
      if (rank_ != root) std::memcpy(data, all[static_cast<std::size_t>(root)], bytes);
    });
  }

 private:
  [[noreturn]] static void device_memory() { fail(ExitCode::internal, "device memory went to the host's communicator"); }
  ThreadHost& host_;
  int rank_;
};

std::unique_ptr<Communicator> make_standin_communicator(std::unique_ptr<Communicator> host, const NcclOptions& options);

/// What the GPU does with the parts of all ranks.
inline void add_parts(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n) {
  stream.enqueue([=] {
    for (std::size_t i = 0; i < n; ++i) {
      float total = parts[i];
      for (int rank = 1; rank < ranks; ++rank) total += parts[static_cast<std::size_t>(rank) * n + i];
      sum[i] = total;
    }
  });
}

/// Runs work(runtime of the rank) in a thread for each of `ranks` ranks over the stand-in for NCCL. Rethrows the first error.
inline void run_ranks(int ranks, const std::function<void(const Runtime&)>& work, NcclOptions options = {}) {
  options.sum_parts = add_parts;
  ThreadHost host(ranks);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      omp_set_num_threads(1);
      try {
        const auto comm = make_standin_communicator(std::make_unique<ThreadCommunicator>(host, rank), options);
        const auto compute = make_inline_stream(), communication = make_thread_stream();
        work({{}, *compute, *communication, *comm});
        compute->synchronize();
        communication->synchronize();
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace expunge
