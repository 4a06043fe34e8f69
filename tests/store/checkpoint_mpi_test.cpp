// Checkpoints over ranks: round trip, true shapes, damage, removal of old ones, another world size.
#include <gtest/gtest.h>

#include <fstream>

#include "core/random.h"
#include "io/hdf5.h"
#include "model/llama.h"
#include "store/checkpoint_writer.h"
#include "support/mpi_session.h"
#include "support/small_llama.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

std::vector<UnitLayout> units_for(int world) { return llama_units(small_llama(31, false), world); }

/// Element i of a parameter's group: a number that nothing else has.
double value(const std::string& group, const std::string& name, std::size_t i) {
  return static_cast<float>(random_uniform(random_stream(group), random_stream(name), i));
}

/// CountedShards of this rank, as if the job had `world` ranks and this were `rank`.
template <typename A>
struct CountedShards {
  CountedShards(int rank, int world, bool filled) : rank_(rank) {
    state.units = units_for(world);
    for (auto& group : storage)
      for (const UnitLayout& unit : state.units) group.emplace_back(unit.shard_size(), A(0));
    std::vector<std::span<A>>* const groups[] = {&state.parameters, &state.exp_avg, &state.exp_avg_sq};
    for (int g = 0; g < 3; ++g)
      for (auto& shard : storage[g]) groups[g]->push_back(shard);
    if (filled) for_each([](A& slot, double expected) { slot = static_cast<A>(expected); });
  }
  template <typename Visit>
  void for_each(Visit visit) {
    const char* const names[] = {"parameters", "exp_avg", "exp_avg_sq"};
    for (int g = 0; g < 3; ++g)
      for (std::size_t u = 0; u < state.units.size(); ++u)
        for (const ParameterSlice& slice : state.units[u].slices(rank_))
          for (std::size_t i = 0; i < slice.count; ++i)
            visit(storage[g][u][slice.offset + i], value(names[g], slice.view->name, slice.first + i));
  }
  int rank_;
  std::vector<std::vector<A>> storage[3];
  StateShards<A> state;
};

/// A folder that all ranks see.
class SharedFolder {
 public:
  SharedFolder() {
    if (test_runtime().comm.rank() == 0) own_.emplace();
    path_ = on_root(test_runtime(), [&] { return own_->path().string(); });
  }
  ~SharedFolder() { barrier(test_runtime()); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::optional<TemporaryFolder> own_;
  std::filesystem::path path_;
};

CheckpointInfo info_of(std::int64_t step) {
  CheckpointInfo info;
  info.step = step;
  info.global_batch = 12;
  info.world_size = test_runtime().comm.size();
  info.dtype = "float32";
  info.config = "seed = 1\n";
  return info;
}

void write(const std::filesystem::path& folder, std::int64_t step, std::int64_t keep = 0) {
  const CountedShards<float> shards(test_runtime().comm.rank(), test_runtime().comm.size(), true);
  IoThread io;
  CheckpointWriter<float> writer(test_runtime(), folder, keep, {}, io);
  writer.start(info_of(step), shards.state, false);
  writer.finish();
}

TEST(Checkpoint, IsReadBackByAnyWorldSize) {
  const SharedFolder folder;
  write(folder.path(), 5);
  const auto found = newest_good_checkpoint(test_runtime(), folder.path());
  ASSERT_TRUE(found);
  const CheckpointReader reader(*found);
  EXPECT_EQ(reader.info().step, 5);
  EXPECT_EQ(reader.info().global_batch, 12);
  EXPECT_EQ(reader.info().config, "seed = 1\n");
  for (int world = 1; world <= 5; ++world) {
    for (int rank = 0; rank < world; ++rank) {
      CountedShards<float> shards(rank, world, false);
      read_state(reader, rank, shards.state, test_runtime().compute);
      shards.for_each([](float slot, double expected) { ASSERT_EQ(slot, static_cast<float>(expected)); });
    }
  }
  CountedShards<double> doubles(0, 1, false);
  reader.read<double>("parameters", doubles.state.units[1].views()[3], 7, std::span(doubles.storage[0][1]).first(9));
  EXPECT_EQ(doubles.storage[0][1][2], value("parameters", doubles.state.units[1].views()[3].name, 9));
}

TEST(Checkpoint, ShowsParametersInTheirTrueShapes) {
  const SharedFolder folder;
  write(folder.path(), 1);
  const Hdf5File file = Hdf5File::open_index(folder.path() / "step-000001" / "checkpoint.h5");
  for (const char* group : {"parameters", "exp_avg", "exp_avg_sq"}) {
    EXPECT_EQ(file.shape(std::string("/") + group + "/model.layers.1.self_attn.k_proj.weight"),
              (std::vector<std::uint64_t>{12, 20}));
    EXPECT_EQ(file.shape(std::string("/") + group + "/model.norm.weight"), (std::vector<std::uint64_t>{20}));
  }
}

TEST(Checkpoint, ADamagedOneIsPassedOver) {
  const SharedFolder folder;
  write(folder.path(), 1);
  write(folder.path(), 2);
  const auto damage = [&](const char* name) {
    if (test_runtime().comm.rank() == 0) {
      std::fstream file(folder.path() / "step-000002" / name, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(-9, std::ios::end);
      const auto place = file.tellg();
      const int byte = file.get();
      file.seekp(place);
      file.put(static_cast<char>(byte ^ 1));
    }
    barrier(test_runtime());
  };
  EXPECT_EQ(newest_good_checkpoint(test_runtime(), folder.path())->filename(), "step-000002");
  damage("shard-00000-of-0000X.h5");  // no such file: nothing happens
  const std::string shard = "shard-00000-of-0000" + std::to_string(test_runtime().comm.size()) + ".h5";
  damage(shard.c_str());
  EXPECT_EQ(newest_good_checkpoint(test_runtime(), folder.path())->filename(), "step-000001") << "one bit of a shard";
  EXPECT_THROW(verify_checkpoint(test_runtime(), folder.path() / "step-000002"), Error);
  damage(shard.c_str());
  EXPECT_EQ(newest_good_checkpoint(test_runtime(), folder.path())->filename(), "step-000002") << "put right again";
  damage("checkpoint.h5");
  EXPECT_EQ(newest_good_checkpoint(test_runtime(), folder.path())->filename(), "step-000001") << "one bit of the index";
}

TEST(Checkpoint, OneOfAnotherVersionIsNotCalledDamaged) {
  const SharedFolder folder;
  if (test_runtime().comm.rank() != 0) return;
  Hdf5File file = Hdf5File::create(folder.path() / "checkpoint.h5");
  file.write_attribute("/", "step", std::int64_t{3});
  file.write_attribute("/", "version", std::string("0.0.9"));
  file.close();
  try {
    const CheckpointReader reader(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_NE(std::string(error.what()).find("another build of expunge (0.0.9), without the attribute 'total_steps'"),
              std::string::npos)
        << error.what();
  }
}

TEST(Checkpoint, WhatAKilledWriterLeftIsNoCheckpoint) {
  const SharedFolder folder;
  write(folder.path(), 1);
  if (test_runtime().comm.rank() == 0) {
    std::filesystem::copy(folder.path() / "step-000001", folder.path() / ".writing-step-000002");
    std::filesystem::create_directory(folder.path() / "step-000003");
  }
  barrier(test_runtime());
  EXPECT_EQ(newest_good_checkpoint(test_runtime(), folder.path())->filename(), "step-000001");
  barrier(test_runtime());
  if (test_runtime().comm.rank() == 0) sweep_checkpoints(folder.path());
  barrier(test_runtime());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / ".writing-step-000002"));
}

TEST(Checkpoint, KeepsTheNewest) {
  const SharedFolder folder;
  for (const std::int64_t step : {2, 4, 10, 100}) write(folder.path(), step, 2);
  std::vector<std::string> left;
  for (const auto& path : list_checkpoints(folder.path())) left.push_back(path.filename().string());
  EXPECT_EQ(left, (std::vector<std::string>{"step-000100", "step-000010"}));
}

}  // namespace
}  // namespace expunge
