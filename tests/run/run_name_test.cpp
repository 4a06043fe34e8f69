// Tests of the run folder's name.
#include "run/run_name.h"
#include "run/options.h"

#include <gtest/gtest.h>

namespace expunge {
namespace {

RunOptions study() {
  RunOptions config;
  config.command = "unlearn";
  config.input.model = "../models/Yi-6B/";
  config.input.domain = "github";
  config.method.name = "gradient_ascent";
  config.batch.global = 680;
  return config;
}

TEST(RunName, IsThatOfTheStudy) {
  EXPECT_EQ(run_name(study(), 8), "output/github/Yi-6B/8_rank_bs_1_gas_85_lr_2.0e_5_epoch1/unlearn/gradient_ascent");
  RunOptions other = study();
  other.samples.retain.general = other.labels.rm_groundtruth = true;
  EXPECT_EQ(run_name(other, 8), "output/github/Yi-6B/8_rank_bs_1_gas_85_lr_2.0e_5_epoch1_general_rmgt/unlearn/gradient_ascent");
}

TEST(RunName, RoundsTheAccumulationUp) {
  RunOptions config = study();
  config.batch.per_device = 3;
  EXPECT_EQ(run_name(config, 7).parent_path().parent_path().filename(), "7_rank_bs_3_gas_33_lr_2.0e_5_epoch1");
  config.batch.global = 0;
  config.batch.accumulation = 5;
  config.schedule.learning_rate = 1.5e-12;
  config.schedule.num_train_epochs = 0.5;
  EXPECT_EQ(run_name(config, 7).parent_path().parent_path().filename(), "7_rank_bs_3_gas_5_lr_1.5e_12_epoch0.5");
  config.schedule.learning_rate = 0;
  EXPECT_EQ(run_name(config, 7).parent_path().parent_path().filename(), "7_rank_bs_3_gas_5_lr_0.0e0_epoch0.5");
}

TEST(RunName, OfTrainingNamesItsDomains) {
  RunOptions config;
  config.command = "train";
  config.input.init_config = "tiny/config.json";
  config.input.splits = {"books/forget", "books/retain", "code/retain"};
  config.batch.global = 6;
  config.schedule.learning_rate = 4e-3;
  EXPECT_EQ(run_name(config, 2), "output/books+code/tiny/2_rank_bs_1_gas_3_lr_4.0e_3_epoch1/train");
}

}  // namespace
}  // namespace expunge
