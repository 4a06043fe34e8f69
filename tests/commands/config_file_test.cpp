// Config files: precedence, errors with file and line, the resolved config read back, and the shipped configs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/config_text.h"
#include "command_lines.h"
#include "report/options.h"
#include "run/config_changes.h"
#include "run/options.h"
#include "support/growth.h"

namespace expunge {
namespace {

using testing::HasSubstr;
using testing::Not;

RunOptions unlearn_with(const std::string& file, const std::string& more = "") {
  return unlearn("--config " + file + " " + more);
}

TEST(ConfigFile, IsReadAndTheCommandLineWins) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.cfg",
                                        "# a comment\r\n\n  learning_rate = 1e-3   # another\nseed=7\nprefetch = off\n"
                                        "lr-scheduler-type = linear\nsample-order =\nmodel = other#1\nbf16 = true");
  RunOptions c;
  parse_into(c, unlearn_options,
             words("--tokens t --domain d --method gradient_ascent --output-dir r --seed 8 --config=" + file));
  EXPECT_EQ(c.schedule.learning_rate, 1e-3);
  EXPECT_EQ(c.samples.seed, 8u);
  EXPECT_FALSE(c.compute.prefetch);
  EXPECT_EQ(c.schedule.type, ScheduleType::linear);
  EXPECT_TRUE(c.samples.order.empty());
  EXPECT_EQ(c.input.model, "other#1");
  EXPECT_EQ(c.compute.dtype, DType::bfloat16);
}

/// As an editor on Windows may write it: a byte order mark, its line ends, tabs.
TEST(ConfigFile, IsReadWithTheMarksOfWindows) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.cfg",
                                        "\xef\xbb\xbf"
                                        "domain\t=\tbooks \r\n\r\n# a comment\r\nseed =\t7\t# more\r\n");
  RunOptions c;
  parse_into(c, unlearn_options, words("--model m --tokens t --method gradient_ascent --config " + file));
  EXPECT_EQ(c.input.domain, "books");
  EXPECT_EQ(c.samples.seed, 7u);
  EXPECT_THAT(refusal([&] { unlearn_with(folder.write("b.cfg", "seed: 7\n")); }), HasSubstr(":1: expected `key = value`"));
}

/// What scripts are told: as given, before ranks are known; what the program would decide is left open.
TEST(GivenConfig, ReadsBackAsItself) {
  const TemporaryFolder folder;
  for (const char* more : {"", "--bf16", "--gradient-accumulation-steps 3 --overwrite-output-dir --resume-from-checkpoint none",
                           "--dtype float64 --sample-order o.txt"}) {
    RunOptions first, second;
    OptionTable table = unlearn_options(first), again = unlearn_options(second);
    table.parse(words(kUnlearn + more));
    again.parse({"--config", folder.write("config", table.given_text())});
    EXPECT_EQ(table.given_text(), again.given_text());
    EXPECT_EQ(second.compute.dtype_by_device, first.compute.dtype_by_device);
    EXPECT_EQ(second.batch.accumulation, first.batch.accumulation);
    EXPECT_EQ(second.folder.overwrite, first.folder.overwrite);
    resolve(first, 3);
    resolve(second, 3);
    EXPECT_EQ(first.resolved, second.resolved);
  }
}

TEST(GivenConfig, NamesWhatIsKnown) {
  RunOptions c;
  OptionTable table = unlearn_options(c);
  table.parse(words("--model m --tokens t.h5 --domain books --method gradient_ascent"));
  const std::string text = table.given_text();
  for (const char* line : {"\ndomain = books\n", "\nmethod = gradient_ascent\n", "\noutput-dir =\n", "\ndtype =\n",
                           "\nglobal-batch-size = 0\n", "\ngradient-accumulation-steps = 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
  for (const char* other : {"config", "bf16"}) EXPECT_THAT(text, Not(HasSubstr(std::string("\n") + other + " =")));
}

TEST(ConfigFile, LaterSourceWinsAmongOptionsThatExcludeEachOther) {
  const TemporaryFolder folder;
  const std::string bf16 = folder.write("bf16.cfg", "bf16 = true\n");
  EXPECT_EQ(unlearn_with(bf16, "--dtype float32").compute.dtype, DType::float32);
  const std::string dtype = folder.write("dtype.cfg", "dtype = float64\n");
  EXPECT_EQ(unlearn_with(dtype, "--bf16").compute.dtype, DType::bfloat16);
  EXPECT_EQ(unlearn_with(dtype, "--bf16 false").compute.dtype, DType::float64);

  EXPECT_EQ(unlearn_with(bf16, "--bf16 false").compute.dtype, DType::float32);
  const std::string bfloat16 = folder.write("bfloat16.cfg", "dtype = bfloat16\n");
  EXPECT_EQ(unlearn_with(bfloat16, "--bf16 false").compute.dtype, DType::float32);

  const std::string global = folder.write("global.cfg", "global-batch-size = 480\n");
  RunOptions c = unlearn_with(global, "--gradient-accumulation-steps 60");
  resolve(c, 2);
  EXPECT_EQ(c.batch.global, 120);
  const std::string accumulation = folder.write("accumulation.cfg", "gradient-accumulation-steps = 60\n");
  c = unlearn_with(accumulation, "--global-batch-size 7");
  resolve(c, 2);
  EXPECT_EQ(c.batch.global, 7);

  const std::string order = folder.write("order.cfg", "sample-order = o.txt\n");
  EXPECT_TRUE(unlearn_with(order, "--shuffle on").samples.order.empty());
  const std::string shuffle = folder.write("shuffle.cfg", "shuffle = on\n");
  EXPECT_FALSE(unlearn_with(shuffle, "--sample-order o.txt").samples.shuffle);
}

TEST(ConfigFile, ListsOfTheCommandLineReplaceThoseOfTheFile) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.cfg", "split = a/b\nsplit = c/d\n");
  RunOptions c;
  parse_into(c, train_options, words("--model m --tokens t --output-dir r --config " + file));
  EXPECT_EQ(c.input.splits, (std::vector<std::string>{"a/b", "c/d"}));
  parse_into(c, train_options, words("--model m --tokens t --output-dir r --split e/f --config " + file));
  EXPECT_EQ(c.input.splits, (std::vector<std::string>{"e/f"}));
}

template <typename Config>
Config from_file(OptionTable (*table)(Config&), const std::string& file) {
  Config config;
  parse_into(config, table, {"--config", file});
  return config;
}

TEST(ConfigFile, EveryCommandReadsOne) {
  const TemporaryFolder folder;
  const auto file = [&](const std::string& text) { return folder.write("a.cfg", text); };
  const std::string scoring = "model = m\ntokens = t\ndomain = d\noutput = o\n", text = "model = m\noutput = o\n";
  EXPECT_EQ(from_file(tokenize_options, file("tokenizer = m\ndata = d\noutput = o\n")).data, "d");
  EXPECT_EQ(from_file(plan_options, file("model = m\nworld = 2\ngpu-memory = 80GB\n")).world, 2);
  EXPECT_EQ(from_file(eval_options, file(scoring)).domain, "d");
  EXPECT_EQ(from_file(mia_options, file(scoring)).domain, "d");
  EXPECT_EQ(from_file(generate_options, file(text + "prompts = p\nmax-new-tokens = 3\n")).prompts, "p");
  EXPECT_EQ(from_file(task_options, file(text + "tasks = t\n")).tasks, "t");
  EXPECT_EQ(from_file(export_options, file("checkpoint = c\noutput-dir = o\n")).checkpoint, "c");
  EXPECT_EQ(from_file(report_options, file("run = a\nrun = b\noutput = o\n")).runs.size(), 2u);
  EXPECT_EQ(from_file(inspect_options, file("path = p\n")).path, "p");
  EXPECT_EQ(from_file(verify_options, file("folder = f\n")).path, "f");
  InspectConfig both;
  parse_into(both, inspect_options, {"q", "--config", file("path = p\n")});
  EXPECT_EQ(both.path, "q");
}

TEST(ConfigFile, ErrorsStayShort) {
  const TemporaryFolder folder;
  const std::string endless(1 << 19, 'x');
  for (const std::string& line : {endless, endless + " = 1", "seed = " + endless, "seed = 1\nseed = " + endless}) {
    const std::string file = folder.write("bad.cfg", line);
    EXPECT_LT(refusal([&] { unlearn_with(file); }).size(), 400u);
  }
}

TEST(ConfigFile, IsReadInLinearTime) {
  const TemporaryFolder folder;
  const auto make = [&](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += "run = r" + std::to_string(i) + "\n";
    return folder.write(std::to_string(size) + ".cfg", text + "output = o\n").string();
  };
  expect_linear_time(12'000, make, [](const std::string& file) {
    ReportConfig config;
    parse_into(config, report_options, {"--config", file});
  });
}

TEST(ConfigFile, IsNotLongerThanItsLimit) {
  const TemporaryFolder folder;
  const std::string file = folder.write("long.cfg", std::string((1 << 20) + 1, '\n'));
  EXPECT_THAT(refusal([&] { unlearn_with(file); }), HasSubstr("long.cfg has 1048577 bytes; expected at most 1048576"));
  EXPECT_NO_THROW(unlearn_with(folder.write("short.cfg", std::string(1 << 20, '\n'))));
}

TEST(ConfigFile, ErrorsNameFileAndLine) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    const std::string file = folder.write("bad.cfg", text);
    const std::string said = refusal([&] { unlearn_with(file); });
    EXPECT_THAT(said, HasSubstr(file + ":"));
    return said;
  };
  EXPECT_THAT(message("\nlearning-rat = 1\n"), HasSubstr(":2: unknown option --learning-rat; did you mean --learning-rate?"));
  EXPECT_THAT(message("unlearn_method = x\n"),
              HasSubstr(":1: --unlearn-method is not an option of expunge unlearn: use --method"));
  EXPECT_THAT(message("seed = 1\nmax-steps = 12abc\n"), HasSubstr(":2: max-steps: expected a whole number"));
  EXPECT_THAT(message("seed = 1\nseed = 2\n"), HasSubstr(":2: seed: given twice"));
  EXPECT_THAT(message("seed\n"), HasSubstr(":1: expected `key = value`, found \"seed\""));
  EXPECT_THAT(message("[section]\n"), HasSubstr(":1: expected `key = value`"));
  EXPECT_THAT(message("= 3\n"), HasSubstr(":1: expected `key = value`"));
  EXPECT_THAT(message("config = b.cfg\n"), HasSubstr(":1: config: a config file cannot name another"));
  EXPECT_THAT(message("print-config = true\n"), HasSubstr(":1: print-config: give it on the command line"));
}

TEST(ConfigFile, ContradictionWithinAFileIsRefused) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a.cfg", "bf16 = true\ndtype = float32\n");
  EXPECT_THAT(refusal([&] { unlearn_with(file); }), HasSubstr("--bf16 true contradicts --dtype float32"));
}

TEST(ResolvedConfig, ReadsBackAsItself) {
  const TemporaryFolder folder;
  for (const char* more :
       {"", "--bf16 --gradient-accumulation-steps 3 --per-device-train-batch-size 2",
        "--learning-rate 1.2345678901234567e-5 --sample-order o.txt --seed 18446744073709551615 --prefetch off",
        "--global-batch-size 7 --recompute block --gather per-step --lr-scheduler-type constant"}) {
    RunOptions first = unlearn(more);
    resolve(first, 3);
    EXPECT_THAT(first.resolved, HasSubstr("global-batch-size = "));
    RunOptions second;
    parse_into(second, unlearn_options, {"--config", folder.write("config", first.resolved)});
    resolve(second, 5);  // another number of ranks changes nothing
    EXPECT_EQ(first.resolved, second.resolved);
    EXPECT_EQ(first.schedule.learning_rate, second.schedule.learning_rate);
    EXPECT_EQ(first.batch.global, second.batch.global);
    EXPECT_EQ(first.compute.dtype, second.compute.dtype);
    EXPECT_EQ(first_difference(first.resolved, second.resolved), std::nullopt);
  }
  RunOptions first;
  parse_into(first, train_options, words(kTrain + "--split general/retain"));
  resolve(first, 1);
  RunOptions second;
  parse_into(second, train_options, {"--config", folder.write("config", first.resolved)});
  resolve(second, 1);
  EXPECT_EQ(first.resolved, second.resolved);
  EXPECT_EQ(second.input.splits, first.input.splits);
}

TEST(ResolvedConfig, HoldsAbsolutePathsAndEverySetting) {
  RunOptions c = unlearn("--dtype float32");
  resolve(c, 2);
  EXPECT_THAT(c.resolved, HasSubstr("model = " + (std::filesystem::current_path() / "m").string() + "\n"));
  for (const char* line : {"learning-rate = 2e-05\n", "global-batch-size = 2\n", "dtype = float32\n", "shuffle = on\n",
                           "sample-order =\n", "adam-epsilon = 1e-08\n", "method = gradient_ascent\n"})
    EXPECT_THAT(c.resolved, HasSubstr(line));
  for (const char* act : {"overwrite-output-dir", "resume-from-checkpoint", "\nconfig", "bf16 = true"})
    EXPECT_THAT(c.resolved, Not(HasSubstr(act)));
}

TEST(ResolvedConfig, GlobalBatchFollowsFromTheRanksOrIsKept) {
  const auto global = [](const std::string& more, int ranks) {
    RunOptions c = unlearn(more);
    resolve(c, ranks);
    return c.batch.global;
  };
  EXPECT_EQ(global("", 3), 3);
  EXPECT_EQ(global("--per-device-train-batch-size 2 --gradient-accumulation-steps 5", 3), 30);
  EXPECT_EQ(global("--global-batch-size 7", 3), 7);
  EXPECT_EQ(global("--global-batch-size 7 --per-device-train-batch-size 2", 3), 7);
  EXPECT_EQ(global("--global-batch-size 30 --per-device-train-batch-size 2 --gradient-accumulation-steps 5", 3), 30);
  EXPECT_THAT(refusal([&] { global("--global-batch-size 30 --gradient-accumulation-steps 5", 3); }),
              HasSubstr("--global-batch-size 30 does not agree with 3 ranks x --per-device-train-batch-size 1 x "
                        "--gradient-accumulation-steps 5 = 15"));
  EXPECT_EQ(global("--per-device-train-batch-size 4096 --gradient-accumulation-steps 4096", 1), 16777216);
  EXPECT_THAT(refusal([&] { global("--per-device-train-batch-size 4096 --gradient-accumulation-steps 4096", 2); }),
              HasSubstr("exceeds 16777216"));
  EXPECT_THAT(refusal([&] { global("--per-device-train-batch-size 536870912 --gradient-accumulation-steps 536870912", 64); }),
              HasSubstr("exceeds 16777216"));
}

TEST(ShippedConfigs, AreValid) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(EXPUNGE_CONFIGS)) {
    if (entry.path().extension() != ".cfg") continue;
    SCOPED_TRACE(entry.path().string());
    ++seen;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::string> keys;
    for (const ConfigEntry& line : read_config_text(text, entry.path().string())) keys.push_back(line.key);
    const auto has = [&](const std::string& key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
    // Paths, and the demo's methods, are left to the command line.
    Arguments arguments = {"--config", entry.path().string()};
    const auto complete = [&](const std::vector<std::pair<std::string, std::string>>& rest) {
      for (const auto& [key, value] : rest)
        if (!has(key)) arguments.insert(arguments.end(), {"--" + key, value});
    };
    if (entry.path().stem() == "demo-eval") {
      EvalConfig config;
      complete({{"tokens", "t.h5"}, {"model", "m"}, {"domain", "a"}, {"output", "e.h5"}});
      EXPECT_NO_THROW(parse_into(config, eval_options, arguments));
      continue;
    }
    const bool trains = has("init-config");
    complete({{"tokens", "t.h5"}, {"output-dir", "run"}});
    if (trains) complete({{"split", "a/b"}});
    if (!trains) complete({{"domain", "a"}, {"method", "gradient_ascent"}, {"model", "m"}});
    RunOptions config;
    EXPECT_NO_THROW(parse_into(config, trains ? train_options : unlearn_options, arguments));
    EXPECT_NO_THROW(resolve(config, 2));
  }
  EXPECT_GE(seen, 17);
}

TEST(ShippedConfigs, HoldTheStudysValues) {
  const std::pair<const char*, const char*> kMethods[] = {{"gradient_ascent", "gradient_ascent"},
                                                          {"random_label", "random_label"},
                                                          {"adversarial", "random_label"},
                                                          {"ascent_plus_descent", "ascent_plus_descent"},
                                                          {"ascent_plus_descent_general", "ascent_plus_descent"},
                                                          {"ascent_plus_kl_divergence", "ascent_plus_kl_divergence"},
                                                          {"ascent_plus_kl_divergence_general", "ascent_plus_kl_divergence"}};
  for (const auto& [domain, batch] : {std::pair{"arxiv", 480}, std::pair{"github", 680}})
    for (const auto& [name, method] : kMethods) {
      RunOptions c;
      const std::string file = std::string(EXPUNGE_CONFIGS) + "/yi-6b-" + domain + "-" + name + ".cfg";
      parse_into(c, unlearn_options, {"--config", file, "--model", "m", "--tokens", "t", "--output-dir", "r"});
      resolve(c, 8);
      EXPECT_EQ(c.input.domain, domain);
      EXPECT_EQ(c.method.name, method);
      EXPECT_EQ(c.labels.top_k, std::string(name) == "adversarial" ? 1 : 0);
      EXPECT_EQ(c.labels.rm_groundtruth, std::string(name) == "adversarial");
      EXPECT_EQ(c.samples.retain.general, std::string(name).ends_with("_general"));
      EXPECT_EQ(c.samples.shuffle, !find_method(method).mixes);
      EXPECT_EQ(c.batch.global, batch);
      EXPECT_EQ(c.batch.per_device, 1);
      EXPECT_EQ(c.schedule.learning_rate, 2e-5);
      EXPECT_EQ(c.schedule.warmup_ratio, 0.03);
      EXPECT_EQ(c.schedule.type, ScheduleType::cosine);
      EXPECT_EQ(c.compute.dtype, DType::bfloat16);
      EXPECT_EQ(c.optimizer.weight_decay, 0);
      EXPECT_EQ(c.optimizer.max_grad_norm, 1);
      EXPECT_EQ(c.schedule.num_train_epochs, 1);
    }
}

}  // namespace
}  // namespace expunge
