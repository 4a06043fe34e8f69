// Collectives over MPI for the CPU: non-blocking calls that the communication stream's thread polls with a time limit.
#include <fmt/format.h>
#include <mpi.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "comm/missing_ranks.h"
#include "comm/polling.h"
#include "expunge/communicator.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// Throws Error(collective) for an MPI error code, for example after another rank was lost.
void must(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(ExitCode::collective, fmt::format("{} failed: {}", call, std::string_view(text, static_cast<std::size_t>(length))));
}

/// Counts messages in blocks of the shard alignment, so that the count of any shard fits an int.
class BlockType {
 public:
  BlockType() {
    MPI_Type_contiguous(static_cast<int>(Communicator::kShardAlignment), MPI_BYTE, &type_);
    MPI_Type_commit(&type_);
  }
  ~BlockType() { MPI_Type_free(&type_); }
  MPI_Datatype type() const { return type_; }
  static int count(std::size_t bytes) {
    check(bytes % Communicator::kShardAlignment == 0, "a shard is a multiple of the shard alignment");
    return static_cast<int>(bytes / Communicator::kShardAlignment);
  }

 private:
  MPI_Datatype type_{};
};

template <typename Wire, typename Sum>
void add(Sum* sum, const Wire* x, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) sum[i] += static_cast<Sum>(x[i]);
}

MPI_Op mpi_operation(Reduce reduce) {
  switch (reduce) {
    case Reduce::sum:
      return MPI_SUM;
    case Reduce::max:
      return MPI_MAX;
    case Reduce::min:
      return MPI_MIN;
  }
  fail(ExitCode::internal, "unnamed reduction");
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(double time_limit_s) : time_limit_s_(time_limit_s) {
    must(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  ~MpiCommunicator() override { MPI_Comm_free(&comm_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  bool whole_is_shard() const override { return size_ == 1; }

  void all_gather(Stream& stream, void* whole, const void* shard, std::size_t bytes) override {
    enqueue(stream, [=, this] {
      const void* place = static_cast<char*>(whole) + static_cast<std::size_t>(rank_) * bytes;
      const int blocks = BlockType::count(bytes);
      MPI_Request request{};
      must(MPI_Iallgather(shard == place ? MPI_IN_PLACE : shard, blocks, block_.type(), whole, blocks, block_.type(), comm_,
                          &request),
           "MPI_Iallgather");
      finish({&request, 1}, "all-gather");
    });
  }

  void reduce_scatter(Stream& stream, float* shard, const float* whole, std::size_t n) override {
    enqueue(stream, [=, this] { exchange_and_add(shard, whole, n); });
  }
  void reduce_scatter(Stream& stream, double* shard, const double* whole, std::size_t n) override {
    enqueue(stream, [=, this] { exchange_and_add(shard, whole, n); });
  }
  void reduce_scatter(Stream& stream, float* shard, const bf16* whole, std::size_t n) override {
    enqueue(stream, [=, this] { exchange_and_add(shard, whole, n); });
  }

  void all_reduce(Stream& stream, std::span<double> values, Reduce reduce) override {
    enqueue(stream, [=, this] {
      const MPI_Op op = mpi_operation(reduce);
      MPI_Request request{};
      must(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE, op, comm_, &request),
           "MPI_Iallreduce");
      finish({&request, 1}, "all-reduce");
    });
  }

  void broadcast(Stream& stream, void* data, std::size_t bytes, int root) override {
    enqueue(stream, [=, this] {
      constexpr std::size_t kPiece = std::size_t{1} << 30;
      for (std::size_t at = 0; at < bytes; at += kPiece) {
        MPI_Request request{};
        must(MPI_Ibcast(static_cast<char*>(data) + at, static_cast<int>(std::min(kPiece, bytes - at)), MPI_BYTE, root, comm_,
                        &request),
             "MPI_Ibcast");
        finish({&request, 1}, "broadcast");
      }
    });
  }

 private:
  /// Refuses GPU memory, because MPI need not be CUDA-aware.
  static void enqueue(Stream& stream, std::function<void()> work) {
    check(stream.device().type == DeviceType::cpu, "MPI is given memory of the host alone");
    stream.enqueue(std::move(work));
  }

  /// Pairwise exchange: in step s this rank sends the part of rank + s and adds the part received from rank - s. Moves (W -
  /// 1)/W of the vector each way. The order of additions depends only on rank and world size.
  template <typename Wire, typename Sum>
  void exchange_and_add(Sum* shard, const Wire* whole, std::size_t n) {
    const auto part = [&](int r) { return whole + static_cast<std::size_t>(r) * n; };
    std::transform(part(rank_), part(rank_) + n, shard, [](Wire x) { return static_cast<Sum>(x); });
    const int blocks = BlockType::count(n * sizeof(Wire));
    // Two receive buffers, so that the next part arrives while this one is added.
    Buffer<Wire> received[2] = {{Device{}, n}, {Device{}, size_ > 2 ? n : 0}};
    MPI_Request requests[2][2];
    const auto post = [&](int step) {
      const int to = (rank_ + step) % size_, from = (rank_ - step + size_) % size_;
      auto& pair = requests[step % 2];
      must(MPI_Irecv(received[(step - 1) % 2].data(), blocks, block_.type(), from, step, comm_, &pair[0]), "MPI_Irecv");
      must(MPI_Isend(part(to), blocks, block_.type(), to, step, comm_, &pair[1]), "MPI_Isend");
    };
    if (size_ > 1) post(1);
    for (int step = 1; step < size_; ++step) {
      finish(requests[step % 2], "reduce-scatter");
      if (step + 1 < size_) post(step + 1);
      add(shard, received[(step - 1) % 2].data(), n);
    }
  }

  /// Polls until the requests are done, and answers ranks that look for missing ranks.
  void finish(std::span<MPI_Request> requests, const char* collective) {
    constexpr double kAnswerEvery = 0.1;  // seconds
    ++collectives_;
    double limit_s = time_limit_s_, answered_s = 0;
    for (Polling polling;; polling.pause()) {
      int done = 0;
      must(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE), collective);
      if (done) return;
      const double waited_s = polling.seconds();
      if (waited_s < answered_s + kAnswerEvery) continue;
      answered_s = waited_s;
      if (missing_ranks_.answer(collectives_, collective))
        limit_s = std::max(limit_s, waited_s + MissingRanks::kVerdictSeconds);
      if (waited_s > limit_s) fail(ExitCode::collective, missing_ranks_.find(collectives_, collective, waited_s));
    }
  }

  MPI_Comm comm_{};
  BlockType block_;
  int rank_ = 0, size_ = 1;
  double time_limit_s_;
  MissingRanks missing_ranks_;
  std::uint64_t collectives_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(double time_limit_s) {
  return std::make_unique<MpiCommunicator>(time_limit_s);
}

}  // namespace expunge
