// Command lines, good and bad, with the values and the messages that they lead to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/membership.h"
#include "command_lines.h"
#include "expunge/kernels.h"
#include "report/options.h"
#include "run/options.h"

namespace expunge {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(CommandLine, SetsEveryKindOfValue) {
  const RunOptions c = unlearn(
      "--learning-rate 3e-4 --num-train-epochs=.5 --max-steps 7 --per-device-train-batch-size 4 --gradient-accumulation-steps "
      "60 "
      "--warmup-ratio 0.03 --warmup-steps 5 --lr-scheduler-type linear --weight-decay 0. --max-grad-norm 0.5 --adam-beta1 0.8 "
      "--adam-beta2 0.99 --adam-epsilon 1e-6 --seed 18446744073709551615 --overwrite-output-dir --save-steps 10 "
      "--save-total-limit 2 --logging-steps 3 --max-train-samples 100 --bf16 --device cpu --gather per-step --recompute light "
      "--prefetch off --micro-batch-tokens 4096 --shuffle off --master-weights bf16 --reduce-dtype bf16 "
      "--resume-from-checkpoint none --quiet");
  EXPECT_EQ(c.command, "unlearn");
  EXPECT_EQ(c.input.model, "m");
  EXPECT_EQ(c.input.tokens, "t.h5");
  EXPECT_EQ(c.input.domain, "books");
  EXPECT_EQ(c.method.name, "gradient_ascent");
  EXPECT_EQ(c.folder.path, "run");
  EXPECT_EQ(c.schedule.learning_rate, 3e-4);
  EXPECT_EQ(c.schedule.num_train_epochs, 0.5);
  EXPECT_EQ(c.schedule.max_steps, 7);
  EXPECT_EQ(c.batch.per_device, 4);
  EXPECT_EQ(c.batch.accumulation, 60);
  EXPECT_EQ(c.schedule.warmup_ratio, 0.03);
  EXPECT_EQ(c.schedule.warmup_steps, 5);
  EXPECT_EQ(c.schedule.type, ScheduleType::linear);
  EXPECT_EQ(c.optimizer.weight_decay, 0);
  EXPECT_EQ(c.optimizer.max_grad_norm, 0.5);
  EXPECT_EQ(c.optimizer.beta1, 0.8);
  EXPECT_EQ(c.optimizer.beta2, 0.99);
  EXPECT_EQ(c.optimizer.epsilon, 1e-6);
  EXPECT_EQ(c.samples.seed, 18446744073709551615u);
  EXPECT_TRUE(c.folder.overwrite);
  EXPECT_EQ(c.save.steps, 10);
  EXPECT_EQ(c.save.total_limit, 2);
  EXPECT_EQ(c.log.steps, 3);
  EXPECT_EQ(c.samples.most, 100);
  EXPECT_EQ(c.compute.dtype, DType::bfloat16);
  EXPECT_EQ(c.compute.device, "cpu");
  EXPECT_EQ(c.compute.gather, GatherPolicy::per_step);
  EXPECT_EQ(c.compute.recompute, RecomputePolicy::light);
  EXPECT_FALSE(c.compute.prefetch);
  EXPECT_EQ(c.batch.micro_batch_tokens, 4096);
  EXPECT_FALSE(c.samples.shuffle);
  EXPECT_TRUE(c.optimizer.bf16_master_weights);
  EXPECT_TRUE(c.compute.reduce_in_bf16);
  EXPECT_EQ(c.folder.resume_from, "none");
  EXPECT_TRUE(c.quiet);
}

TEST(CommandLine, ReadsUnderscoresAndSwitchesAsHuggingFaceWritesThem) {
  EXPECT_EQ(unlearn("--learning_rate=1e-3").schedule.learning_rate, 1e-3);
  EXPECT_EQ(unlearn("--learning_rate 1e-3").schedule.learning_rate, 1e-3);
  for (const char* yes : {"--bf16", "--bf16 true", "--bf16 True", "--bf16=true", "--bf16 --quiet", "--bf16 1"})
    EXPECT_EQ(unlearn(yes).compute.dtype, DType::bfloat16) << yes;
  for (const char* no : {"--bf16 false", "--bf16=False", "--bf16=false --dtype float32"})
    EXPECT_EQ(unlearn(no).compute.dtype, DType::float32) << no;
  EXPECT_FALSE(unlearn("--bf16 false").compute.dtype_by_device);
  EXPECT_FALSE(unlearn("--dtype bfloat16").compute.dtype_by_device);
  EXPECT_TRUE(unlearn("").compute.dtype_by_device);
  EXPECT_TRUE(unlearn("--shuffle").samples.shuffle);
  EXPECT_FALSE(unlearn("--shuffle=off").samples.shuffle);
  EXPECT_EQ(unlearn("--resume-from-checkpoint a_b/step_1").folder.resume_from, "a_b/step_1");
}

TEST(CommandLine, DtypeIsNamedOnceOrTwiceTheSame) {
  EXPECT_EQ(unlearn("--dtype float64").compute.dtype, DType::float64);
  EXPECT_EQ(unlearn("--dtype bfloat16 --bf16").compute.dtype, DType::bfloat16);
  EXPECT_EQ(unlearn("--dtype float64 --bf16 false").compute.dtype, DType::float64);
}

struct Bad {
  std::string line;
  std::string message;
};

TEST(CommandLine, ReadsLengthsOfTime) {
  const std::vector<std::pair<std::string, double>> table = {
      {"90", 90}, {"0.5", 0.5}, {"0:01:30", 90}, {"23:30:00", 84600}, {"2-01:00:05", 176405}, {"100:00:00", 360000}};
  for (const auto& [given, seconds] : table)
    EXPECT_EQ(unlearn("--max-walltime " + given).deadline.max_walltime, seconds) << given;
  for (const char* given : {"1:30", "1:2:3:4", "1:60:00", "x:00:00", "1-2", "-1:00:00", ":::", "1-:00:00", "1e9:00:00", "-0.1",
                            "1e18", "1000000001", "277777:46:41", "99999999-00:00:00"})
    EXPECT_THAT(refusal([&] { unlearn(std::string("--max-walltime=") + given); }),
                HasSubstr("expected a number from 0 to 1e9 of seconds, HH:MM:SS or D-HH:MM:SS"))
        << given;
  for (const char* given : {"0", "1e-308", "0.09", "1e18", "9223372036854775807"})
    EXPECT_THAT(refusal([&] { unlearn(std::string("--collective-timeout ") + given); }),
                HasSubstr("expected a number from 0.1 to 1e9 of seconds"))
        << given;
  EXPECT_EQ(unlearn("--collective-timeout 1e9").compute.collective_timeout, 1e9);
}

TEST(CommandLine, RefusesValues) {
  const std::vector<Bad> table = {
      {"--max-steps 12abc", "--max-steps: expected a whole number from -1 to 1000000000, found \"12abc\""},
      {"--max-steps 1e3", "--max-steps: expected a whole number"},
      {"--max-steps 99999999999999999999", "--max-steps: expected a whole number"},
      {"--max-steps 1000000001", "--max-steps: expected a whole number from -1 to 1000000000"},
      {"--max-steps=", "--max-steps: expected a whole number from -1 to 1000000000, found \"\""},
      {"--quiet=", "--quiet: expected true or false, found \"\""},
      {"--learning-rate -1", "--learning-rate: expected a number of at least 0, found \"-1\""},
      {"--learning-rate nan", "found \"nan\""},
      {"--learning-rate inf", "found \"inf\""},
      {"--learning-rate 1e999", "found \"1e999\""},
      {"--learning-rate 2e-5x", "found \"2e-5x\""},
      {"--learning-rate 0x1p3", "found \"0x1p3\""},
      {"--num-train-epochs 0", "expected a number above 0"},
      {"--warmup-ratio 1.5", "expected a number from 0 to 1"},
      {"--adam-beta1 1", "expected a number from 0 to below 1"},
      {"--per-device-train-batch-size 0", "expected a whole number from 1"},
      {"--gradient-accumulation-steps -3", "expected a whole number from 0"},
      {"--seed -1", "expected a whole number from 0 to 2^64 - 1"},
      {"--lr-scheduler-type cosine_with_restarts", "expected cosine, linear or constant, found \"cosine_with_restarts\""},
      {"--dtype float16", "expected float32, bfloat16 or float64"},
      {"--device gpu", "expected auto, cpu or cuda"},
      {"--gather always", "expected per-micro-step, per-step or auto"},
      {"--recompute all", "expected none, light, block or auto"},
      {"--master-weights float32", "expected fp32 or bf16"},
      {"--prefetch maybe", "unexpected argument \"maybe\""},
      {"--prefetch=maybe", "--prefetch: expected on or off, found \"maybe\""},
      {"--bf16=perhaps", "--bf16: expected true or false"},
      {"--bf16 --dtype float32", "--bf16 true contradicts --dtype float32"},
      {"--bf16=false --dtype bfloat16", "--bf16 false contradicts --dtype bfloat16"},
      {"--tf32 true", "--tf32 true needs --device cuda, but --device is auto"},
      {"--tf32 --device cpu", "--tf32 true needs --device cuda, but --device is cpu"},
      {"--dtype float64 --master-weights bf16", "--dtype float64 keeps weights"},
      {"--dtype float64 --reduce-dtype bf16", "--dtype float64 keeps weights"},
      {"--sample-order o.txt --shuffle on", "--sample-order fixes the order"},
      {"--stop-at x", "--stop-at needs --eval-steps N"},
      {"--eval-split forget", "--eval-split needs --eval-steps N"},
      {"--eval-steps 1 --eval-split forget --eval-split retain --eval-split books/forget",
       "--eval-split: books/forget is named twice"},
      {"--seed 1 --seed 2", "--seed: given twice (\"1\" and \"2\")"},
      {"--domain", "--domain"},
      {"--sample-order --seed 3", "--sample-order needs a value: --sample-order FILE"},
      {"--sample-order --bogus", "--sample-order needs a value"},
      {"--output-dir=", "--output-dir"},
      {"stray", "unexpected argument \"stray\""},
      {"-x", "unexpected argument \"-x\""},
      {"--config", "--config"},
      {"--config does-not-exist.cfg", "--config: cannot open does-not-exist.cfg: No such file"},
      {"--config /tmp", "--config: cannot read /tmp: it is a folder"},
  };
  for (const Bad& bad : table) {
    SCOPED_TRACE(bad.line);
    EXPECT_THAT(refusal([&] { unlearn(bad.line); }), HasSubstr(bad.message));
  }
  EXPECT_THAT(refusal([] {
                RunOptions c;
                parse_into(c, unlearn_options, words("--model m --tokens t --domain d --output-dir r --method ga"));
              }),
              HasSubstr("--method: expected gradient_ascent, random_label, ascent_plus_descent, ascent_plus_kl_divergence, "
                        "finetune, retrain, grad_diff, npo, simnpo, wga, satimp, undial, ce_u or rmu, found \"ga\""));
}

TEST(CommandLine, NamesUnknownOptionsAndTheNearestKnown) {
  EXPECT_EQ(refusal([] { unlearn("--learning-rat 1"); }), "unknown option --learning-rat; did you mean --learning-rate?");
  EXPECT_EQ(refusal([] { unlearn("--learning_rat=1"); }), "unknown option --learning-rat; did you mean --learning-rate?");
  EXPECT_EQ(refusal([] { unlearn("--learn 1"); }), "unknown option --learn");
  EXPECT_EQ(refusal([] { unlearn("--zzzzzzzzzzzz"); }), "unknown option --zzzzzzzzzzzz");
  // All of them are named at once, and their values are not held against the user.
  EXPECT_EQ(refusal([] { unlearn("--sed 1 --unlearn_method gradient_ascent"); }),
            "unknown option --sed; did you mean --seed?\n"
            "  --unlearn-method is not an option of expunge unlearn: use --method");
  const KeyOwners owners = {{"compare", {"eval"}}, {"seed", {"train", "unlearn"}}};
  EXPECT_EQ(refusal([&] {
              RunOptions c;
              parse_into(c, unlearn_options, words(kUnlearn + "--compare b.h5"), owners);
            }),
            "--compare is an option of expunge eval, not of expunge unlearn");
  EXPECT_EQ(refusal([&] {
              EvalConfig c;
              parse_into(c, eval_options, words(kEval + "--seed 2"), owners);
            }),
            "--seed is an option of expunge train and unlearn, not of expunge eval");
}

TEST(CommandLine, NamesWhatIsMissing) {
  RunOptions c;
  EXPECT_EQ(refusal([&] { parse_into(c, unlearn_options, words("--model m --domain d")); }),
            "expunge unlearn needs --tokens FILE and --method METHOD\n"
            "usage: expunge unlearn --model DIR --tokens FILE --domain NAME --method METHOD [options]");
  c = {};
  EXPECT_THAT(refusal([&] { parse_into(c, train_options, words("--tokens t --split a/b --output-dir r")); }),
              HasSubstr("needs either --model DIR"));
  EXPECT_THAT(refusal([&] { parse_into(c, train_options, words(kTrain + "--init-config c.json")); }),
              HasSubstr("needs one of --model DIR"));
  InspectConfig inspect;
  EXPECT_EQ(refusal([&] { parse_into(inspect, inspect_options, {}); }),
            "expunge inspect needs FILE_OR_DIR\nusage: expunge inspect FILE_OR_DIR [options]");
}

TEST(CommandLine, TrainTakesSplitsOfAnyDomain) {
  RunOptions c;
  parse_into(c, train_options, words(kTrain + "--split general/retain"));
  EXPECT_EQ(c.command, "train");
  EXPECT_EQ(c.input.splits, (std::vector<std::string>{"books/forget", "general/retain"}));
  RunOptions twice;
  EXPECT_EQ(refusal([&] { parse_into(twice, train_options, words(kTrain + "--split general/retain --split books/forget")); }),
            "--split: books/forget is named twice; leave one out");
  for (const char* bad : {"forget", "/forget", "books/", "a/b/c"}) {
    RunOptions other;
    EXPECT_THAT(refusal([&] { parse_into(other, train_options, words(kTrain + "--split " + bad)); }),
                HasSubstr("--split: expected DOMAIN/SPLIT"))
        << bad;
  }
}

TEST(CommandLine, OtherCommands) {
  TokenizeOptions t;
  parse_into(t, tokenize_options,
             words("--tokenizer m --data d --output t.h5 --domain a --domain b --max_length 512 "
                   "--text-column body --quiet"));
  EXPECT_EQ(t.tokenizer, "m");
  EXPECT_EQ(t.data, "d");
  EXPECT_EQ(t.output, "t.h5");
  EXPECT_EQ(t.domains, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(t.max_length, 512);
  EXPECT_EQ(t.text_column, "body");
  EXPECT_TRUE(t.quiet);

  EvalConfig e;
  parse_into(e, eval_options,
             words(kEval + "--split forget --split retain --per-device-eval-batch-size 2 --max-eval-samples 9 "
                           "--overwrite --compare old.h5 --dtype bfloat16 --micro-batch-tokens 10"));
  EXPECT_EQ(e.splits, (std::vector<std::string>{"forget", "retain"}));
  EXPECT_EQ(e.per_device_eval_batch_size, 2);
  EXPECT_EQ(e.max_eval_samples, 9);
  EXPECT_TRUE(e.overwrite);
  EXPECT_EQ(e.compare, "old.h5");
  EXPECT_EQ(e.compute.dtype, DType::bfloat16);
  EXPECT_EQ(e.micro_batch_tokens, 10);
  EXPECT_EQ(refusal([&] { parse_into(e, eval_options, words(kEval + "--split forget --split books/forget")); }),
            "--split: books/forget is named twice; leave one out");

  MembershipConfig m;
  parse_into(m, mia_options, words(kEval));
  EXPECT_EQ(m.members, "forget");
  EXPECT_EQ(m.non_members, "approximate");
  EXPECT_EQ(m.seed, 42u);
  parse_into(m, mia_options,
             words(kEval + "--members a --non-members other/b --reference-model r --seed 7 --max-eval-samples 9 --overwrite "
                           "--bf16 --micro-batch-tokens 10"));
  EXPECT_EQ(m.members, "a");
  EXPECT_EQ(m.non_members, "other/b");
  EXPECT_EQ(m.reference_model, "r");
  EXPECT_EQ(m.seed, 7u);
  EXPECT_EQ(m.max_eval_samples, 9);
  EXPECT_TRUE(m.overwrite);
  EXPECT_EQ(m.compute.dtype, DType::bfloat16);
  EXPECT_EQ(m.micro_batch_tokens, 10);

  ExportConfig x;
  parse_into(x, export_options, words("--checkpoint run --output-dir out"));
  EXPECT_FALSE(x.dtype.has_value());
  parse_into(x, export_options, words("--checkpoint run --output-dir out --dtype float16"));
  EXPECT_EQ(x.dtype, DType::float16);

  InspectConfig i;
  parse_into(i, inspect_options, {"some/file.h5"});
  EXPECT_EQ(i.path, "some/file.h5");
  EXPECT_THAT(refusal([&] { parse_into(i, inspect_options, {"a", "b"}); }), HasSubstr("given twice"));
}

TEST(CommandLine, TextKeepsBlanksInsideButNotWhatAConfigCannotHold) {
  RunOptions c;
  Arguments arguments = words(kTrain);
  arguments[1] = "my models/#1=a";
  parse_into(c, train_options, arguments);
  EXPECT_EQ(c.input.model, "my models/#1=a");
  for (const char* bad : {"a #b", "a\nb", " a", "a "}) {
    arguments[1] = bad;
    EXPECT_THAT(refusal([&] { parse_into(c, train_options, arguments); }),
                HasSubstr("--model: expected a path that is not empty"));
  }
}

TEST(CommandLine, HelpNamesTheFolderOfARunWithoutOne) {
  const auto page = [](OptionTable (*options)(RunOptions&)) {
    RunOptions c;
    std::string help = options(c).help();
    std::erase_if(help, [](char letter) { return letter == ' ' || letter == '\n'; });
    return help;
  };
  EXPECT_THAT(page(train_options), HasSubstr("_epoch<epochs>/train"));
  EXPECT_THAT(page(unlearn_options), HasSubstr("_epoch<epochs>[_general][_rmgt]/unlearn/METHOD"));
}

TEST(CommandLine, HelpNamesEveryOptionWithItsDefault) {
  RunOptions c;
  const OptionTable table = unlearn_options(c);
  const std::string page = table.help();
  for (const std::string& key : table.keys()) EXPECT_THAT(page, HasSubstr("--" + key)) << key;
  for (const char* part :
       {"[2e-05]", "[cosine]", "[1e-08]", "[42]", "cosine|linear|constant", "(required)", "Optimizer:", "[on]"})
    EXPECT_THAT(page, HasSubstr(part));
  EXPECT_THAT(page, Not(HasSubstr("[]")));
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 111u) << line;
}

TEST(CommandLine, HasALimitedNumberOfArguments) {
  Arguments arguments = words("--output o");
  while (arguments.size() < 10'000) arguments.push_back("run");
  ReportConfig config;
  parse_into(config, report_options, arguments);
  EXPECT_EQ(config.runs.size(), 9'998u);
  arguments.push_back("run");
  EXPECT_EQ(refusal([&] { parse_into(config, report_options, arguments); }),
            "the command line has 10001 arguments, expected at most 10000; write lists into a --config file");
}

}  // namespace
}  // namespace expunge
