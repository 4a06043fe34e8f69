// Training over 1 to 4 ranks against the same training on one: losses and weights do not depend on how it is split.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/random.h"
#include "run/options.h"
#include "store/weights.h"
#include "support/lone_rank.h"
#include "support/mpi_session.h"
#include "support/small_llama.h"
#include "support/temporary_folder.h"
#include "training/drawn_labels.h"
#include "training/trainer.h"

namespace expunge {
namespace {

constexpr int kVocabulary = 61;
constexpr int kSteps = 10;

/// 23 sequences of 5 to 59 ids in papers/forget, and 25 in papers/retain.
std::filesystem::path write_tokens(const TemporaryFolder& folder) {
  TokenFileWriter writer(folder / "tokens.h5", {.tokenizer_sha256 = "", .vocabulary_size = kVocabulary, .max_length = 64});
  writer.begin_split("papers", "forget");
  for (std::uint64_t s = 0; s < 48; ++s) {
    if (s == 23) {
      writer.end_split("test", "");
      writer.begin_split("papers", "retain");
    }
    std::vector<std::int32_t> ids(5 + random_below(1, s, 0, 55));
    for (std::size_t t = 0; t < ids.size(); ++t) ids[t] = static_cast<std::int32_t>(random_below(2, s, t, kVocabulary));
    writer.add_document(ids);
  }
  writer.end_split("test", "");
  writer.finish();
  return folder / "tokens.h5";
}

/// How a run is split; none of it may change the result.
struct Split {
  bool once = false, prefetch = true, tied = false;
  Recompute recompute = Recompute::none;
  std::int64_t batch = 1, micro_batch_tokens = 0;
  std::string method = "gradient_ascent";
};

struct Outcome {
  std::vector<double> losses;
  std::vector<std::vector<double>> first_gradient, weights;  // of this rank's shards, unit by unit
};

template <typename A>
std::vector<double> as_doubles(std::span<A> values) {
  return {values.begin(), values.end()};
}

template <Element T>
Outcome train(const Runtime& runtime, const std::filesystem::path& tokens_path, const Split& split, int steps) {
  const LlamaConfig config = small_llama(kVocabulary, split.tied);
  RunOptions options;
  options.command = "unlearn";
  options.schedule.learning_rate = 1e-3;
  options.schedule.warmup_steps = 2;
  options.optimizer.weight_decay = 0.1;
  options.schedule.max_steps = kSteps;
  options.batch.global = 7;  // divides by no world size but 1
  options.batch.per_device = split.batch;
  options.batch.micro_batch_tokens = split.micro_batch_tokens;
  options.method = {split.method, {{"alpha", 1.5}, {"layer", 1}}};
  options.samples.shuffle = !find_method(split.method).mixes;
  const auto objective = make_objective(options.method);
  const TokenFile tokens(tokens_path);
  std::vector<RoleSplit> sources;
  for (const Term& term : objective->terms())
    sources.push_back({term.role == Role::forget ? "papers/forget" : "papers/retain", term.role});
  TrainingData data(tokens, sources, options.samples, kVocabulary);
  ShardedParams<T> params(runtime, llama_units(config, runtime.comm.size()), {split.once, split.prefetch, false}, true);
  const WeightsSource source{WeightsSource::Kind::initial, {}, {}, config};
  load_weights(source, 9, false, params);
  Optimizer<T> optimizer(params, options.optimizer);
  Llama<T> model(config, params, split.recompute);
  TrainingInputs<T> task{*objective, data};
  ShardedParams<T> reference_params(runtime, llama_units(config, runtime.comm.size()), {false, split.prefetch, false}, false);
  load_weights(source, 10, false, reference_params);  // not the trained model's weights: KL to oneself has no gradient
  Llama<T> reference(config, reference_params, Recompute::none);
  task.reference = &reference;
  if (find_method(split.method).replaces_labels)
    data.set_labels(0, draw_model_labels(model, data.split(0), {.top_k = 1, .rm_groundtruth = true}, false, 3,
                                         {static_cast<std::size_t>(split.batch), 0, 0}));
  if (objective->uses_reference_nll())
    for (const SequenceMetrics& sequence : evaluate_split(reference, tokens.split("papers/forget", kVocabulary), {2, 0, 0}))
      task.reference_nll.push_back(sequence["nll"] * static_cast<double>(sequence.targets));
  task.control = control_vector(*objective, options.samples.seed, config.hidden_size);
  Trainer<T> trainer(RunLength(options.schedule, options.batch, false, data.items()), {options.schedule, options.batch}, model,
                     optimizer, std::move(task));
  Outcome outcome;
  for (int step = 0; step < steps; ++step) {
    outcome.losses.push_back(trainer.step()->loss);
    for (int unit = 0; step == 0 && unit < params.units(); ++unit)
      outcome.first_gradient.push_back(as_doubles(params.gradient(unit)));
  }
  for (int unit = 0; unit < params.units(); ++unit) outcome.weights.push_back(as_doubles(params.master(unit)));
  return outcome;
}

/// ||a - b|| / ||b|| over the shards of all ranks; b holds whole units.
double relative_error(const std::vector<std::vector<double>>& shards, const std::vector<std::vector<double>>& whole) {
  const Runtime& runtime = test_runtime();
  double sums[2] = {0, 0};
  for (std::size_t u = 0; u < shards.size(); ++u) {
    const std::size_t begin = static_cast<std::size_t>(runtime.comm.rank()) * shards[u].size();
    for (std::size_t i = 0; i < shards[u].size(); ++i) {
      const double expected = begin + i < whole[u].size() ? whole[u][begin + i] : 0;  // padding differs by world size
      sums[0] += (shards[u][i] - expected) * (shards[u][i] - expected);
      sums[1] += expected * expected;
    }
  }
  all_reduce(runtime, sums, Reduce::sum);
  EXPECT_GT(sums[1], 0);
  return std::sqrt(sums[0] / sums[1]);
}

std::vector<Split> splits() {
  std::vector<Split> all;
  for (const bool once : {false, true})
    for (const bool prefetch : {false, true})
      for (const Recompute recompute : {Recompute::none, Recompute::block})
        all.push_back({.once = once, .prefetch = prefetch, .recompute = recompute});
  all.push_back({.recompute = Recompute::light, .batch = 3});
  all.push_back({.once = true, .batch = 7});
  all.push_back({.micro_batch_tokens = 90});
  all.push_back({.once = true, .micro_batch_tokens = 400});
  all.push_back({.tied = true});
  all.push_back({.once = true, .tied = true, .recompute = Recompute::light, .batch = 2});
  return all;
}

std::vector<Split> method_splits() {
  std::vector<Split> all;
  for (const Method& info : methods()) {
    all.push_back({.method = std::string(info.name)});
    all.push_back({.once = true, .tied = true, .micro_batch_tokens = 150, .method = std::string(info.name)});
  }
  return all;
}

/// The run on one rank that every split is held against; each rank works it out for itself.
template <Element T>
const Outcome& reference(const std::filesystem::path& tokens, const Split& split) {
  static std::map<std::pair<std::string, bool>, Outcome> outcomes;
  const auto key = std::pair(split.method, split.tied);
  if (!outcomes.contains(key)) {
    const LoneRank alone;
    outcomes[key] = train<T>(alone.runtime(), tokens, {.tied = split.tied, .method = split.method}, kSteps);
  }
  return outcomes[key];
}

template <Element T>
void expect_invariance(const std::vector<Split>& all, double first_loss, double gradient, double later_losses, double weights) {
  const TemporaryFolder folder;
  const auto tokens = write_tokens(folder);
  for (const Split& split : all) {
    SCOPED_TRACE(testing::Message() << "once " << split.once << " prefetch " << split.prefetch << " recompute "
                                    << static_cast<int>(split.recompute) << " batch " << split.batch << " tokens "
                                    << split.micro_batch_tokens << " tied " << split.tied << ' ' << split.method);
    const Outcome& expected = reference<T>(tokens, split);
    const Outcome found = train<T>(test_runtime(), tokens, split, kSteps);
    EXPECT_NEAR(found.losses[0], expected.losses[0], first_loss * std::abs(expected.losses[0]));
    for (std::size_t step = 1; step < kSteps; ++step)
      EXPECT_NEAR(found.losses[step], expected.losses[step], later_losses * std::abs(expected.losses[step])) << "step " << step;
    EXPECT_LE(relative_error(found.first_gradient, expected.first_gradient), gradient);
    EXPECT_LE(relative_error(found.weights, expected.weights), weights);
  }
}

TEST(TrainerInvariance, Double) { expect_invariance<double>(splits(), 1e-12, 1e-12, 1e-10, 1e-9); }

// float32: additions in another order, amplified by AdamW where a gradient is near zero, hence the wider bound on weights.
TEST(TrainerInvariance, Float) { expect_invariance<float>(splits(), 1e-6, 1e-5, 1e-4, 1e-3); }

TEST(TrainerInvariance, EveryMethodInDouble) { expect_invariance<double>(method_splits(), 1e-12, 1e-12, 1e-10, 1e-9); }

TEST(TrainerInvariance, TheBoundsFailWhenNoStepIsTaken) {
  const TemporaryFolder folder;
  const auto tokens = write_tokens(folder);
  const Outcome& expected = reference<double>(tokens, {});
  const Outcome unmoved = train<double>(test_runtime(), tokens, {}, 0);
  EXPECT_GT(relative_error(unmoved.weights, expected.weights), 1e-2);
  EXPECT_GT(std::abs(expected.losses[kSteps - 1] - expected.losses[0]), 1e-2 * std::abs(expected.losses[0]));
}

/// Ascent that weighs sequences of one length far more than float32 gradients bear, though not their loss.
class TooHeavy final : public Objective {
 public:
  explicit TooHeavy(double positions) : positions_(positions) {}
  std::vector<Term> terms() const override { return {{Role::forget, {}}}; }
  std::optional<double> constant_weight(const Term&, double positions, const Scope&) const override {
    return positions == positions_ ? -3e38 : -1e-3;
  }

 private:
  double positions_;
};

TEST(Trainer, AGradientThatIsNotFiniteNamesItsSequences) {
  const TemporaryFolder folder;
  const TokenFile tokens(write_tokens(folder));
  const Runtime& runtime = test_session().runtime();
  RunOptions options;
  options.batch.global = 12;
  options.schedule.max_steps = 1;
  options.samples.shuffle = false;
  options.folder.path = folder / "run";
  TrainingData data(tokens, {{"papers/forget", Role::forget}}, options.samples, kVocabulary);
  constexpr std::size_t kHeavy = 9;  // its length is no other's
  for (std::size_t i = 0; i < 12; ++i) ASSERT_TRUE(i == kHeavy || data.targets(i) != data.targets(kHeavy));
  const TooHeavy objective(static_cast<double>(data.targets(kHeavy)));
  const LlamaConfig config = small_llama(kVocabulary, false);
  ShardedParams<float> params(runtime, llama_units(config, runtime.comm.size()), {true, true, false}, true);
  load_weights({WeightsSource::Kind::initial, {}, {}, config}, 9, false, params);
  Optimizer<float> optimizer(params, options.optimizer);
  Llama<float> model(config, params, Recompute::none);
  Trainer<float> trainer(RunLength(options.schedule, options.batch, false, data.items()), {options.schedule, options.batch},
                         model, optimizer, {objective, data});
  const std::string message = error_of(ExitCode::collapse, [&] { trainer.step(); });
  EXPECT_NE(message.find("step 1: loss -"), std::string::npos) << message;
  // Of each rank one sequence: those of the other micro-batches are not accused.
  const std::string accused = message.substr(message.find("belongs to"));
  EXPECT_NE(accused.find("papers/forget sequence 9"), std::string::npos) << message;
  EXPECT_EQ(std::ranges::count(accused.substr(0, accused.find(';')), ','), runtime.comm.size() - 1) << message;
}

TEST(Trainer, TheSameRunTwiceIsBitwiseEqual) {
  const TemporaryFolder folder;
  const auto tokens = write_tokens(folder);
  const Outcome a = train<float>(test_runtime(), tokens, {.batch = 2}, 5);
  const Outcome b = train<float>(test_runtime(), tokens, {.batch = 2}, 5);
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.weights, b.weights);
}

}  // namespace
}  // namespace expunge
