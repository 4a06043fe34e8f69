// A run's options read back from its config, and what differs between the configs of two starts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "command_lines.h"
#include "run/config_changes.h"
#include "run/option_tables.h"
#include "run/options.h"

namespace expunge {
namespace {

using testing::HasSubstr;

TEST(FirstDifference, NamesTheFirstKeyThatDecidesTheResult) {
  const std::string old = "model = a\nseed = 1\nsplit = a/b\nsplit = c/d\nsave-steps = 3\nshuffle =\n";
  EXPECT_EQ(first_difference(old, old), std::nullopt);
  const auto difference = [&](const std::string& now) {
    const auto d = first_difference(old, now);
    return d ? d->key + ": " + d->before + " -> " + d->after : "none";
  };
  EXPECT_EQ(difference("seed = 2 # new\nmodel = b\nsplit = a/b\nsplit = c/d\n"), "seed: 1 -> 2");
  EXPECT_EQ(difference("model = a\nseed = 1\nsplit = a/b\n"), "split: a/b, c/d -> a/b");
  EXPECT_EQ(difference("model = a\nseed = 1\nsplit = a/b\nsplit = c/d\nextra = 1\n"), "extra: (not set) -> 1");
  EXPECT_EQ(difference("model = a\nsplit = a/b\nsplit = c/d\n"), "seed: 1 -> (not set)");
  EXPECT_EQ(difference("split = a/b\nsplit=c/d\n# only the order differs\nseed = 1\nmodel = a\nsave_steps = 9\n"), "none");
}

/// A run of an earlier version goes on as that version would have.
TEST(FirstDifference, TakesWhatAnEarlierVersionLacksForItsBehaviour) {
  const std::string old = "seed = 1\nshuffle =\n", defaults = "seed = 7\nshuffle = on\nextra = 1\nfurther =\n";
  const auto now = [&](const std::string& text) { return first_difference(old, text, defaults); };
  EXPECT_EQ(now("seed = 1\nextra = 1\nfurther =\n"), std::nullopt);
  EXPECT_EQ(now("seed = 1\nextra = 2\n")->before, "1");
  EXPECT_EQ(now("seed = 1\nfurther = x\n")->before, "(not set)");
  EXPECT_EQ(now("seed = 7\nextra = 1\n")->before, "1") << "what the old text says counts";
  EXPECT_EQ(now("seed = 1\nshuffle = on\n")->before, "(not set)") << "named without a value";
  EXPECT_EQ(later_keys(old, "seed = 1\nextra = 1\nfurther =\nshuffle = on\n"), std::vector<std::string>{"extra"});
}

TEST(FirstDifference, IgnoresWhatMayChangeOnResume) {
  RunOptions before = unlearn("--global-batch-size 8");
  RunOptions after = unlearn(
      "--global-batch-size 8 --gather per-step --recompute block --prefetch off --micro-batch-tokens 99 "
      "--per-device-train-batch-size 2 --save-steps 5 --save-total-limit 2 --logging-steps 7 --quiet --overwrite-output-dir "
      "--log-jsonl log.jsonl --tensorboard on "
      "--resume-from-checkpoint none");
  after.folder.path = "elsewhere";
  resolve(before, 1);
  resolve(after, 4);
  EXPECT_EQ(first_difference(before.resolved, after.resolved), std::nullopt);
}

/// Every other option decides the result: each one alone is noticed.
TEST(FirstDifference, NoticesEveryOtherOption) {
  RunOptions before = unlearn("--global-batch-size 8");
  resolve(before, 1);
  const std::vector<std::string> changes = {"learning-rate 1",     "lr-scheduler-type linear",
                                            "warmup-ratio 0.5",    "warmup-steps 3",
                                            "num-train-epochs 2",  "max-steps 3",
                                            "weight-decay 1",      "max-grad-norm 2",
                                            "adam-beta1 0.5",      "adam-beta2 0.5",
                                            "adam-epsilon 1",      "seed 3",
                                            "max-train-samples 4", "shuffle off",
                                            "dtype float64",       "device cpu",
                                            "master-weights bf16", "reduce-dtype bf16"};
  for (const std::string& change : changes) {
    RunOptions after = unlearn("--global-batch-size 8 --" + change);
    resolve(after, 1);
    const auto difference = first_difference(before.resolved, after.resolved);
    ASSERT_TRUE(difference) << change;
    EXPECT_EQ(difference->key, change.substr(0, change.find(' ')));
  }
  RunOptions other_batch = unlearn("--global-batch-size 9");
  resolve(other_batch, 1);
  EXPECT_EQ(first_difference(before.resolved, other_batch.resolved)->key, "global-batch-size");
}

/// Which options may change is said by their rows; this list is what was meant.
TEST(FirstDifference, TheOptionsThatMayChangeAreThese) {
  RunOptions c;
  std::set<std::string> free, hashed;
  for (const OptionTable& table : {train_table(c), unlearn_table(c)})
    for (const Option& option : table.options())
      if (option.resolved && option.on_resume != OnResume::same)
        (option.on_resume == OnResume::free ? free : hashed).insert(option.key);
  EXPECT_EQ(free,
            (std::set<std::string>{"output-dir", "save-steps", "save-total-limit", "logging-steps", "save-labels", "log-jsonl",
                                   "tensorboard", "quiet", "grace-seconds", "max-walltime", "collective-timeout", "comm",
                                   "gather", "recompute", "prefetch", "micro-batch-tokens", "per-device-train-batch-size"}));
  EXPECT_EQ(hashed, (std::set<std::string>{"model", "init-config", "tokens", "labels", "sample-order"}));
}

/// A run's options come back from its config as they were, by the table that wrote it.
TEST(ReadRunOptions, GivesBackWhatARunHad) {
  RunOptions run;
  parse_into(run, unlearn_options,
             words("--model m --tokens t.h5 --domain books --method npo --output-dir run --dtype float32 --global-batch-size 8 "
                   "--alpha 0 "
                   "--retain-loss kl --beta 0.25 --positive-ratio 3 --variant released "
                   "--labels l.h5 --learning-rate 1e-3 --eval-steps 2 --stop-at forget:perplexity>=3"));
  resolve(run, 1);
  RunOptions again = read_run_options(run.resolved, "config");
  EXPECT_EQ(again.command, "unlearn");
  EXPECT_EQ(again.method.name, "npo");
  for (const auto& [key, value] : {std::pair("alpha", 0.0), {"beta", 0.25}, {"retain-loss", 1.0}})
    EXPECT_EQ(again.method.given.at(key), value) << key;
  EXPECT_EQ(again.samples.retain.positive_ratio, 3);
  EXPECT_TRUE(again.released);
  write_option_texts(again);
  EXPECT_EQ(again.resolved, run.resolved);
}

TEST(ReadRunOptions, PassesOverWhatOtherVersionsHave) {
  const RunOptions later = read_run_options("method = of_a_later_version\nhow_far = 3\ndomain = books\n", "config");
  EXPECT_EQ(later.method.name, "of_a_later_version");
  EXPECT_EQ(later.input.domain, "books");
  EXPECT_EQ(later.schedule.learning_rate, RunOptions().schedule.learning_rate);
  EXPECT_EQ(read_run_options("split = a/b\nsplit = c/d\n", "config").input.splits, (std::vector<std::string>{"a/b", "c/d"}));
}

TEST(ReadRunOptions, NamesTheLineOfAValueThatNoRunHas) {
  for (const char* ratio : {"1e300", "-0.5", "nan"}) {
    try {
      read_run_options(std::string("method = npo\npositive-ratio = ") + ratio, "RUN/config");
      ADD_FAILURE() << ratio;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr("RUN/config:2: positive-ratio: expected a whole number from 1 to"));
    }
  }
}

}  // namespace
}  // namespace expunge
