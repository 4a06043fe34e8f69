// A timed run is planned as its checkpoint says that it was computed.
#include "commands/measured_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/step_metrics.h"
#include "store/checkpoint_writer.h"
#include "support/lone_rank.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

/// A run folder of two steps on `device`, whose checkpoint has these options.
std::filesystem::path write_run(const TemporaryFolder& folder, const std::string& device, const std::string& options) {
  std::filesystem::create_directories(folder / "model");
  std::filesystem::create_directories(folder / "checkpoints");
  folder.write("config", "method = of_an_editor\n");
  folder.write("model/config.json",
               R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 88,
                   "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 400,
                   "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false})");
  MetricsFile metrics(folder / "metrics.h5", 0);
  for (std::int64_t step = 1; step <= 2; ++step)
    metrics.append(std::vector{StepMetrics{step, 1, 1, 1, 1e-5, 1, 256, 512, 1 << 20, 1 << 20}});
  const LoneRank rank;
  CheckpointInfo info;
  info.step = 2;
  info.global_batch = 4;
  info.world_size = 1;
  info.dtype = "float32";
  info.device = device;
  info.config = options;
  UnitLayout unit("block0", 1);
  unit.add({{"norm", {4}}});
  std::vector<float> values(unit.shard_size());
  StateShards<float> state{{unit}, {values}, {values}, {values}};
  IoThread io;
  CheckpointWriter<float> writer(rank.runtime(), folder / "checkpoints", 0, {}, io);
  writer.start(info, state, false);
  writer.finish();
  return folder.path();
}

TEST(MeasuredRun, RanOnTheDeviceOfItsCheckpoint) {
  for (const auto& [name, device] : {std::pair("cuda", DeviceType::cuda), {"cpu", DeviceType::cpu}}) {
    const TemporaryFolder folder;
    const TimedRun run = read_timed_run(write_run(folder, name, "method = npo\n"));
    EXPECT_EQ(run.shape.device, device);
    EXPECT_EQ(run.seconds, 0.5);
  }
}

/// The file `config` may have been edited since.
TEST(MeasuredRun, HasTheOptionsOfItsCheckpoint) {
  const TemporaryFolder folder, other;
  EXPECT_GT(read_timed_run(write_run(folder, "cpu", "method = grad_diff\nretain-loss = kl\n")).step.reference_share, 0);
  EXPECT_EQ(read_timed_run(write_run(other, "cpu", "method = grad_diff\nretain-loss = kl\nalpha = 0\n")).step.reference_share,
            0);
}

TEST(MeasuredRun, OfAnUnknownMethodIsRefusedByItsName) {
  const TemporaryFolder folder;
  const std::filesystem::path run = write_run(folder, "cpu", "method = of_a_later_version\n");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_timed_run(run); }),
              HasSubstr("config: method = of_a_later_version: this version has no such method"));
}

}  // namespace
}  // namespace expunge
