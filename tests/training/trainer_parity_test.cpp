// The methods beside the study's own against PyTorch, term by term and through four optimizer steps in float64. How the numbers
// were made: tests/fixtures/make_method_fixtures.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "inference/scorer.h"
#include "io/json.h"
#include "run/options.h"
#include "store/weights.h"
#include "support/lone_rank.h"
#include "support/temporary_folder.h"
#include "training/trainer.h"

namespace expunge {
namespace {

const std::filesystem::path kFixtures = EXPUNGE_FIXTURES;

nlohmann::json golden() { return parse_json_file(kFixtures / "methods.json", 1 << 20); }

/// Lines 0 to 2 of tiny_llama's texts as study/forget, lines 4 to 6 as study/retain.
std::filesystem::path write_texts(const TemporaryFolder& folder, int vocabulary) {
  std::vector<std::vector<std::int32_t>> lines;
  std::ifstream file(kFixtures / "tiny_llama/tokens.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream ids(line);
    lines.emplace_back(std::istream_iterator<std::int32_t>(ids), std::istream_iterator<std::int32_t>());
  }
  const auto size = static_cast<std::uint64_t>(vocabulary);
  TokenFileWriter writer(folder / "tokens.h5", {.tokenizer_sha256 = "", .vocabulary_size = size, .max_length = 128});
  for (const auto& [split, first] : {std::pair("forget", 0U), std::pair("retain", 4U)}) {
    writer.begin_split("study", split);
    for (std::size_t i = first; i < first + 3; ++i) writer.add_document(lines.at(i));
    writer.end_split("test", "");
  }
  writer.finish();
  return folder / "tokens.h5";
}

class MethodParityTest : public testing::TestWithParam<std::size_t> {};

TEST_P(MethodParityTest, LossesAndGradientNormsAreThoseOfPyTorch) {
  const nlohmann::json expected = golden().at(GetParam());
  const std::vector<double> losses = expected["losses"], norms = expected["gradient_norms"];
  const LoneRank rank;
  const WeightsSource source = locate_model(rank.runtime(), kFixtures / "tiny_llama");
  RunOptions config;
  config.command = "unlearn";
  config.schedule.learning_rate = 1e-3;
  config.schedule.type = ScheduleType::constant;
  config.schedule.max_steps = static_cast<std::int64_t>(losses.size());
  config.batch.global = 4;
  config.samples.shuffle = false;
  config.method = {expected["method"],
                   {{"retain-loss", expected["retain_kl"].get<bool>() ? 1 : 0}, {"alpha", expected["alpha"]}, {"layer", 1}}};
  const auto objective = make_objective(config.method);

  const TemporaryFolder folder;
  const TokenFile tokens(write_texts(folder, source.config.vocab_size));
  std::vector<RoleSplit> sources;
  for (const Term& term : objective->terms())
    sources.push_back({term.role == Role::forget ? "study/forget" : "study/retain", term.role});
  TrainingData data(tokens, sources, config.samples, source.config.vocab_size);

  const std::vector<UnitLayout> units = llama_units(source.config, 1);
  ShardedParams<double> params(rank.runtime(), units, {false, true, false}, true),
      reference_params(rank.runtime(), units, {false, true, false}, false);
  load_weights(source, 0, false, params);
  load_weights(source, 0, false, reference_params);
  Llama<double> model(source.config, params, Recompute::none), reference(source.config, reference_params, Recompute::none);
  Optimizer<double> optimizer(params, config.optimizer);
  TrainingInputs<double> task{*objective, data, &reference};
  const TokenSplit forget = tokens.split("study/forget", source.config.vocab_size);
  if (objective->uses_reference_nll())
    for (const SequenceMetrics& sequence : evaluate_split(reference, forget, {1, 0, 0}))
      task.reference_nll.push_back(sequence["nll"] * static_cast<double>(sequence.targets));
  task.control = control_vector(*objective, config.samples.seed, source.config.hidden_size);
  Trainer<double> trainer(RunLength(config.schedule, config.batch, false, data.items()), {config.schedule, config.batch}, model,
                          optimizer, std::move(task));
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const StepMetrics metrics = trainer.step().value();
    EXPECT_NEAR(metrics.loss, losses[step], 1e-9 * std::abs(losses[step])) << "step " << step;
    EXPECT_NEAR(metrics.grad_norm, norms[step], 1e-9 * norms[step]) << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Later, MethodParityTest, testing::Range<std::size_t>(0, golden().size()), [](const auto& test) {
  const nlohmann::json expected = golden().at(test.param);
  return expected["method"].get<std::string>() + (expected["retain_kl"] ? "_kl" : "");
});

TEST(MethodParity, EveryMethodHasAGoldenValue) {
  std::vector<std::string> covered = {"gradient_ascent", "random_label", "ascent_plus_descent", "ascent_plus_kl_divergence",
                                      "finetune",        "retrain"};  // trainer_released_mpi_test.cpp; the last two are descent
  for (const nlohmann::json& one : golden()) covered.push_back(one["method"]);
  for (const Method& info : methods())
    EXPECT_NE(std::find(covered.begin(), covered.end(), info.name), covered.end()) << info.name;
}

}  // namespace
}  // namespace expunge
