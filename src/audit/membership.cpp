// Attacks the members of a split.
#include "audit/membership.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "core/log.h"
#include "core/standard_streams.h"
#include "core/text.h"
#include "data/compressed_size.h"
#include "data/tokenizer.h"
#include "eval/attacks.h"
#include "inference/scoring_model.h"
#include "inference/token_checks.h"
#include "io/files.h"
#include "run/output.h"
#include "run/results/mia.h"

namespace expunge {
namespace {

/// Members or non-members: the first sequences of a split that are not on the other side, with each attack's scores.
struct Side {
  std::string name;                  ///< "domain/split"
  TokenSplit split;                  ///< without sequences on both sides
  std::vector<std::size_t> numbers;  ///< of its sequences within the token file's split
  std::size_t on_both_sides = 0;
  std::size_t sequences = 0;  ///< number of scored sequences
  std::span<const std::uint64_t> documents() const {
    return split.documents().first(split.documents().empty() ? 0 : sequences);
  }
  std::map<std::string, std::vector<double>> scores = {};
};

struct Sides {
  Side members, non_members;
  std::vector<Side*> both() { return {&members, &non_members}; }
  std::vector<const Side*> both() const { return {&members, &non_members}; }
  bool know_documents() const { return !members.documents().empty() && !non_members.documents().empty(); }
};

/// Warns of few documents, because intervals resample documents, and few of them give intervals that are too narrow.
void warn_of_few_documents(const Sides& sides) {
  constexpr std::size_t kFew = 10;
  if (!sides.know_documents()) return;
  for (const Side* side : sides.both()) {
    const std::set<std::uint64_t> documents(side->documents().begin(), side->documents().end());
    if (documents.size() < kFew)
      log_warning(
          fmt::format("{}: {} sequences of only {}: intervals are resampled by document, and with fewer than {} they are too "
                      "narrow",
                      side->name, side->sequences, counted(documents.size(), "document"), kFew));
  }
}

/// Leaves sequences on both sides out of both, because a text that is member and non-member tells nothing.
void leave_out_shared(Sides& sides, const TokenFile& tokens) {
  constexpr std::size_t kLeast = 10;
  std::vector<std::size_t> members = sides.members.split.absent_from(sides.non_members.split);
  std::vector<std::size_t> non_members = sides.non_members.split.absent_from(sides.members.split);
  const auto keep = [](Side& side, std::vector<std::size_t> numbers) {
    side.on_both_sides = side.split.sequences() - numbers.size();
    if (side.on_both_sides > 0) side.split = side.split.only(numbers);
    side.numbers = std::move(numbers);
  };
  keep(sides.members, std::move(members));
  keep(sides.non_members, std::move(non_members));
  const std::size_t left = std::min(sides.members.numbers.size(), sides.non_members.numbers.size());
  if (sides.members.on_both_sides > 0 && left < kLeast)
    fail(ExitCode::bad_input,
         fmt::format(
             "{}: {} and {} share {} and {} of their sequences, so {} and {} remain, but at least {} each are needed; give "
             "--members and --non-members splits of different texts",
             tokens.path().string(), sides.members.name, sides.non_members.name, sides.members.on_both_sides,
             sides.non_members.on_both_sides, sides.members.numbers.size(), sides.non_members.numbers.size(), kLeast));
}

/// Warns of equal or nearly equal text on both sides.
void warn_of_shared(const Sides& sides, const TokenFile& tokens) {
  const std::string &members = sides.members.name, &non_members = sides.non_members.name;
  if (sides.members.on_both_sides > 0)
    log_warning(fmt::format("{} sequences of {} and {} of {} are on both sides and are left out", sides.members.on_both_sides,
                            members, sides.non_members.on_both_sides, non_members));
  const std::optional<Duplicates> duplicates = tokens.duplicates();
  if (!duplicates) return;
  const auto between = [&](const SharedText& pair) {
    return (pair.split == members && pair.other == non_members) || (pair.split == non_members && pair.other == members);
  };
  for (const std::string& line : describe_duplicates(*duplicates, between)) log_warning(line);
}

/// Chooses as many non-members as members, or all if there are fewer.
Sides choose_sides(const Session& session, const MembershipConfig& config, const TokenFile& tokens, int vocabulary) {
  const std::string members = full_split_name(config.domain, config.members);
  const std::string non_members = full_split_name(config.domain, config.non_members);
  if (members == non_members)
    fail(ExitCode::usage, fmt::format("--members and --non-members are both {}: name two splits", members));
  Sides sides{{members, tokens.split(members, vocabulary), {}}, {non_members, tokens.split(non_members, vocabulary), {}}};
  leave_out_shared(sides, tokens);
  const auto most = static_cast<std::size_t>(config.max_eval_samples);
  const std::size_t all = sides.members.split.sequences(), wanted = most > 0 ? std::min(most, all) : all;
  sides.members.sequences = wanted;
  sides.non_members.sequences = std::min(wanted, sides.non_members.split.sequences());
  if (session.rank() != 0) return sides;
  warn_of_shared(sides, tokens);
  if (sides.non_members.sequences < wanted)
    log_warning(fmt::format("{} has {} sequences for {} members of {}; all of them are used", non_members,
                            sides.non_members.sequences, wanted, members));
  if (const std::string few = few_sequences(sides.members.sequences, sides.non_members.sequences); !few.empty())
    log_warning(few);
  warn_of_few_documents(sides);
  return sides;
}

/// For each score, the number of its sequence within its split.
std::vector<std::uint64_t> scored_sequences(const Sides& sides) {
  std::vector<std::uint64_t> numbers;
  for (const Side* side : sides.both())
    numbers.insert(numbers.end(), side->numbers.begin(), side->numbers.begin() + static_cast<std::ptrdiff_t>(side->sequences));
  return numbers;
}

/// Passes both sides through a model; column i of the summary becomes the scores `names[i]`.
void add_pass(const Session& session, const MembershipConfig& config, const WeightsSource& source,
              const std::vector<std::string>& names, const Summary& summary, Sides& sides) {
  in_element_type(config.compute.dtype, [&]<Element T>(std::type_identity<T>) {
    ScoringModel<T> model(session, source, config.compute);
    for (Side* side : sides.both()) {
      EvaluationBatching batching = batching_of(config);
      batching.max_samples = side->sequences;
      for (const std::vector<double>& row : score_split(model.llama, side->split, batching, summary))
        for (std::size_t i = 0; i < names.size(); ++i) side->scores[names[i]].push_back(row[i]);
      log_info(fmt::format("{}: {} sequences", side->name, side->sequences));
    }
  });
}

/// Throws Error(collapse) if a score is not finite, because such a model allows no inference.
void check_finite(const Side& side, const std::string& attack, const std::filesystem::path& model) {
  const std::vector<double>& values = side.scores.at(attack);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail(ExitCode::collapse, fmt::format("{}: the mean log-probability of {}, sequence {}, is {}: the model has collapsed",
                                           model.string(), side.name, side.numbers[i], values[i]));
}

/// Size of a sequence's text under zlib, without BOS and EOS.
std::size_t zlib_bytes(const Tokenizer& tokenizer, std::span<const std::int32_t> sequence) {
  std::vector<std::int32_t> ids;
  std::copy_if(sequence.begin(), sequence.end(), std::back_inserter(ids),
               [&](std::int32_t id) { return id != tokenizer.bos_id() && id != tokenizer.eos_id(); });
  return compressed_size(tokenizer.decode(ids));
}

void add_zlib(const Tokenizer& tokenizer, Side& side) {
  for (std::size_t i = 0; i < side.sequences; ++i)
    side.scores["zlib"].push_back(zlib_score(side.scores["loss"][i], zlib_bytes(tokenizer, side.split.ids(i))));
}

/// Subtracts the reference model's mean log-probabilities from the model's.
void subtract_reference(Side& side) {
  std::vector<double>& reference = side.scores["reference"];
  for (std::size_t i = 0; i < side.sequences; ++i) reference[i] = side.scores["loss"][i] - reference[i];
}

std::vector<AttackResult> summarise(const std::vector<std::string>& attacks, Sides& sides, std::uint64_t seed) {
  std::vector<AttackResult> results;
  const std::vector<Side*> both = sides.both();
  for (const std::string& attack : attacks) {
    const auto unscored = std::ranges::find_if(both, [&](const Side* side) {
      return std::ranges::all_of(side->scores.at(attack), [](double score) { return std::isnan(score); });
    });
    if (unscored != both.end()) {
      log_warning(fmt::format("{}: every sequence is too short for {}, so it is left out; tokenize with a larger --max-length",
                              (*unscored)->name, attack));
      continue;
    }
    const auto &members = sides.members.scores.at(attack), &non_members = sides.non_members.scores.at(attack);
    ScoreDocuments documents;
    if (sides.know_documents()) documents = {sides.members.documents(), sides.non_members.documents()};
    results.push_back({attack, members, non_members, summarise_attack(members, non_members, seed, documents)});
  }
  return results;
}

void print_table(const Sides& sides, const std::vector<AttackResult>& results, const std::string& resampled_by) {
  print_result("\n{} members of {}, {} non-members of {}\n", sides.members.sequences, sides.members.name,
               sides.non_members.sequences, sides.non_members.name);
  print_result("{:<22}{:>8}{:>18}{:>16}{:>13}{:>13}{:>15}{:>15}\n", "attack", "AUC", "95 % interval", "members score",
               "TPR at 5 %", "TPR at 1 %", "TPR at 0.1 %", "best accuracy");
  for (const AttackResult& result : results) {
    const AttackMetrics& metrics = result.metrics;
    const AttackRates& rates = metrics.stronger();
    print_result("{:<22}{:>8.3f}{:>18}{:>16}{:>11.1f} %{:>11.1f} %{:>13.1f} %{:>13.1f} %{}\n", result.name, metrics.auc,
                 fmt::format("{:.3f} to {:.3f}", metrics.auc_low, metrics.auc_high), metrics.low_is_stronger() ? "low" : "high",
                 100 * rates.tpr_at_5, 100 * rates.tpr_at_1, 100 * rates.tpr_at_0_1, 100 * rates.best_accuracy,
                 metrics.left_out > 0 ? fmt::format("  ({} too short, left out)", metrics.left_out) : "");
  }
  print_result(
      "AUC 0.5: members look like non-members; above: remembered; below: less likely than unseen text.\n"
      "Rates assume an attacker who knows whether members score high or low. Intervals are resampled by {}.\n",
      resampled_by);
}

}  // namespace

void run_membership(Session& session, const MembershipConfig& config) {
  const Runtime& runtime = session.runtime();
  check_output(runtime, config.output, config.overwrite);
  const TokenFile tokens(config.tokens);
  const auto find = [&](const std::filesystem::path& path) {
    const WeightsSource source = locate_model(runtime, path);
    check_tokenizer(runtime, source, tokens);
    return source;
  };
  const WeightsSource source = find(config.model);
  std::optional<WeightsSource> reference;
  if (!config.reference_model.empty()) reference = find(config.reference_model);
  const int vocabulary = std::min(source.config.vocab_size, reference.value_or(source).config.vocab_size);
  Sides sides = choose_sides(session, config, tokens, vocabulary);
  for (const Side* side : sides.both())
    for (const WeightsSource& model : {source, reference.value_or(source)})
      check_window(model.config, side->name, side->split, side->sequences);
  MembershipSource described{.evaluation = evaluation_source(session, config.model, source, tokens, config.compute.dtype),
                             .members = sides.members.name,
                             .non_members = sides.non_members.name,
                             .reference_model = "",
                             .reference_model_sha256 = "",
                             .seed = config.seed,
                             .resampled_by = sides.know_documents() ? "document" : "sequence",
                             .members_on_both_sides = sides.members.on_both_sides,
                             .non_members_on_both_sides = sides.non_members.on_both_sides,
                             .sequences = scored_sequences(sides)};

  described.evaluation.options = config.resolved;
  described.evaluation.libraries = config.libraries;
  std::vector<std::string> attacks = attack_names();
  add_pass(session, config, source, attacks, {attacks.size(), Moments::include, attack_scores}, sides);
  if (reference) {
    described.reference_model = whole_path(config.reference_model).string();
    described.reference_model_sha256 = model_sha256(*reference, runtime, llama_units(reference->config, session.world_size()));
    const auto mean = [](const TargetScores& scores) { return std::vector<double>{mean_log_prob(scores)}; };
    attacks.push_back("reference");
    add_pass(session, config, *reference, {"reference"}, {1, Moments::leave_out, mean}, sides);
  }
  on_root(runtime, [&] {
    for (Side* side : sides.both()) {
      check_finite(*side, "loss", config.model);
      if (!reference) continue;
      check_finite(*side, "reference", config.reference_model);
      subtract_reference(*side);
    }
    if (std::filesystem::exists(source.side_files / "tokenizer.model")) {
      const Tokenizer tokenizer(source.side_files);
      attacks.push_back("zlib");
      for (Side* side : sides.both()) add_zlib(tokenizer, *side);
    } else {
      log_warning(
          fmt::format("{}: no tokenizer.model, so the zlib attack has no text and is left out", source.side_files.string()));
    }
    const std::vector<AttackResult> results = summarise(attacks, sides, config.seed);
    print_table(sides, results, described.resampled_by);
    write_membership(config.output, existing_of(config.overwrite), described, results);
  });
}

}  // namespace expunge
