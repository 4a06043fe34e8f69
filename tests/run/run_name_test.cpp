// Tests of the run folder's name.
#include "run/run_name.h"
#include "run/options.h"

#include <gtest/gtest.h>

namespace expunge {
namespace {

TrainConfig study() {
  TrainConfig config;
  config.command = "unlearn";
  config.model = "../models/Yi-6B/";
  config.domain = "github";
  config.objective.method = "gradient_ascent";
  config.global_batch_size = 680;
  return config;
}

TEST(RunName, IsThatOfTheStudy) {
  EXPECT_EQ(run_name(study(), 8), "output/github/Yi-6B/8_rank_bs_1_gas_85_lr_2.0e_5_epoch1/unlearn/gradient_ascent");
  TrainConfig other = study();
  other.retain.general = other.labels.rm_groundtruth = true;
  EXPECT_EQ(run_name(other, 8), "output/github/Yi-6B/8_rank_bs_1_gas_85_lr_2.0e_5_epoch1_general_rmgt/unlearn/gradient_ascent");
}

TEST(RunName, RoundsTheAccumulationUp) {
  TrainConfig config = study();
  config.per_device_train_batch_size = 3;
  EXPECT_EQ(run_name(config, 7).parent_path().parent_path().filename(), "7_rank_bs_3_gas_33_lr_2.0e_5_epoch1");
  config.global_batch_size = 0;
  config.gradient_accumulation_steps = 5;
  config.learning_rate = 1.5e-12;
  config.num_train_epochs = 0.5;
  EXPECT_EQ(run_name(config, 7).parent_path().parent_path().filename(), "7_rank_bs_3_gas_5_lr_1.5e_12_epoch0.5");
  config.learning_rate = 0;
  EXPECT_EQ(run_name(config, 7).parent_path().parent_path().filename(), "7_rank_bs_3_gas_5_lr_0.0e0_epoch0.5");
}

TEST(RunName, OfTrainingNamesItsDomains) {
  TrainConfig config;
  config.command = "train";
  config.init_config = "tiny/config.json";
  config.splits = {"books/forget", "books/retain", "code/retain"};
  config.global_batch_size = 6;
  config.learning_rate = 4e-3;
  EXPECT_EQ(run_name(config, 2), "output/books+code/tiny/2_rank_bs_1_gas_3_lr_4.0e_3_epoch1/train");
}

}  // namespace
}  // namespace expunge
