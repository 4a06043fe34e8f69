// Collectives over the ranks of the job, against what each should give.
#include <gtest/gtest.h>

#include <numeric>

#include "expunge/error.h"
#include "support/mpi_session.h"

namespace expunge {
namespace {

constexpr std::size_t kShard = 192;  // elements: a multiple of the alignment in every type

const Runtime& runtime() { return test_session().runtime(); }
int rank() { return runtime().comm.rank(); }
int world() { return runtime().comm.size(); }

float value(int of_rank, std::size_t i) { return static_cast<float>(100 * of_rank) + static_cast<float>(i % 7); }

/// The job's communicator, and one that stages memory through the host, whose device is the CPU here.
const std::vector<Communicator*>& both() {
  static const std::unique_ptr<Communicator> staged = make_staged_communicator(make_mpi_communicator());
  static const std::vector<Communicator*> both = {&runtime().comm, staged.get()};
  return both;
}

void expect_all_gather(Communicator& comm) {
  for (const bool in_place : {false, true}) {
    std::vector<float> whole(kShard * static_cast<std::size_t>(world()), -1), shard(kShard);
    float* const mine = in_place ? whole.data() + kShard * static_cast<std::size_t>(rank()) : shard.data();
    for (std::size_t i = 0; i < kShard; ++i) mine[i] = value(rank(), i);
    comm.all_gather(runtime().communication, whole.data(), mine, kShard * sizeof(float));
    runtime().communication.synchronize();
    for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(whole[i], value(static_cast<int>(i / kShard), i % kShard));
  }
}

TEST(Communicator, AllGatherPutsShardsInRankOrder) {
  for (Communicator* const comm : both()) expect_all_gather(*comm);
}

template <typename Wire, typename Sum>
void expect_reduce_scatter(Communicator& comm) {
  std::vector<Wire> whole(kShard * static_cast<std::size_t>(world()));
  for (std::size_t i = 0; i < whole.size(); ++i)
    whole[i] = static_cast<Wire>(static_cast<float>(rank() + 1) * static_cast<float>(i % 5 + 1));
  std::vector<Sum> shard(kShard, Sum(-1));
  comm.reduce_scatter(runtime().communication, shard.data(), whole.data(), kShard);
  runtime().communication.synchronize();
  const int ranks_sum = world() * (world() + 1) / 2;
  for (std::size_t i = 0; i < kShard; ++i) {
    const std::size_t at = kShard * static_cast<std::size_t>(rank()) + i;
    ASSERT_EQ(static_cast<double>(shard[i]), ranks_sum * static_cast<double>(at % 5 + 1));
  }
}

TEST(Communicator, ReduceScatterAddsEachRanksPart) {
  for (Communicator* const comm : both()) {
    expect_reduce_scatter<float, float>(*comm);
    expect_reduce_scatter<double, double>(*comm);
    expect_reduce_scatter<bf16, float>(*comm);
  }
}

TEST(Communicator, AllReduceAndBroadcast) {
  EXPECT_EQ(all_reduce(runtime(), rank() + 1.0, Reduce::sum), world() * (world() + 1) / 2);
  EXPECT_EQ(all_reduce(runtime(), rank(), Reduce::max), world() - 1);
  EXPECT_EQ(all_reduce(runtime(), rank(), Reduce::min), 0);
  EXPECT_EQ(broadcast(runtime(), "from " + std::to_string(rank()), world() - 1), "from " + std::to_string(world() - 1));
}

/// Work that is to run on a GPU.
class GpuStream final : public Stream {
 public:
  Device device() const override { return {DeviceType::cuda, 0}; }
  void enqueue(std::function<void()>) override { FAIL() << "work was enqueued"; }
  Event record() override { return {}; }
  void wait(const Event&) override {}
  void synchronize() override {}
};

TEST(Communicator, MpiIsGivenNoMemoryOfAGpu) {
  GpuStream stream;
  std::vector<float> whole(kShard * static_cast<std::size_t>(world())), shard(kShard);
  std::vector<double> values(1);
  Communicator& mpi = runtime().comm;
  EXPECT_THROW(mpi.all_gather(stream, whole.data(), shard.data(), kShard * sizeof(float)), Error);
  EXPECT_THROW(mpi.reduce_scatter(stream, shard.data(), whole.data(), kShard), Error);
  EXPECT_THROW(mpi.all_reduce(stream, values, Reduce::sum), Error);
  EXPECT_THROW(mpi.broadcast(stream, values.data(), sizeof(double), 0), Error);
}

TEST(Communicator, AResultOfTheRootReachesEveryRank) {
  struct Pair {
    int first;
    double second;
  };
  EXPECT_EQ(on_root(runtime(), [] { return std::string("fine"); }), "fine");
  EXPECT_TRUE(on_root(runtime(), [] { return runtime().comm.rank() == 0; }));
  const Pair pair = on_root(runtime(), [] { return Pair{runtime().comm.rank() + 7, 0.5}; });
  EXPECT_EQ(pair.first, 7);
  EXPECT_EQ(pair.second, 0.5);
  int runs = 0;
  on_root(runtime(), [&] { ++runs; });
  EXPECT_EQ(runs, runtime().comm.rank() == 0 ? 1 : 0);
}

TEST(Communicator, AnErrorOnTheRootReachesEveryRank) {
  try {
    on_root(runtime(), [] { fail(ExitCode::output, "no space"); });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::output);
    EXPECT_STREQ(error.what(), "no space");
  }
}

TEST(Stream, AnErrorInAStreamIsRethrownWhereItIsWaitedFor) {
  const auto stream = make_thread_stream();
  stream->enqueue([] { fail(ExitCode::collective, "lost"); });
  bool ran = false;
  stream->enqueue([&] { ran = true; });
  EXPECT_THROW(stream->record().wait(), Error);
  EXPECT_THROW(stream->synchronize(), Error);
  EXPECT_FALSE(ran) << "work after a failure is skipped";
}

}  // namespace
}  // namespace expunge
