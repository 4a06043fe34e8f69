// `expunge mia`: can members be told from non-members by what the model says of them?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "expunge/core/log.h"
#include "expunge/core/standard_streams.h"
#include "expunge/data/compressed_size.h"
#include "expunge/data/tokenizer.h"
#include "expunge/eval/attacks.h"
#include "expunge/io/files.h"
#include "expunge/train/commands.h"
#include "train/membership_file.h"
#include "train/scoring.h"

namespace expunge {
namespace {

/// Members or non-members: the first sequences of a split, with each attack's scores.
struct Side {
  std::string name;  ///< "domain/split"
  TokenSplit split;
  std::size_t sequences;
  std::map<std::string, std::vector<double>> scores = {};
};

struct Sides {
  Side members, non_members;
  std::vector<Side*> both() { return {&members, &non_members}; }
};

/// An AUC of so few sequences says little: of n a side that cannot be told apart the 95 % interval is 0.5 +- 1.96 / sqrt(6 n),
/// which from 30 on is narrower than 0.35 to 0.65 (the variance of the Mann-Whitney statistic).
void warn_of_few(const Sides& sides) {
  constexpr std::size_t kFew = 30;
  const std::size_t members = sides.members.sequences, non_members = sides.non_members.sequences;
  if (members >= kFew && non_members >= kFew) return;
  log_warning(
      fmt::format("{} members and {} non-members: with fewer than {} a side chance alone moves an AUC by 0.15 and "
                  "more, and an interval of 1.000 to 1.000 proves nothing",
                  members, non_members, kFew));
}

/// As many non-members as members, where there are as many.
Sides choose_sides(const Session& session, const MembershipConfig& config, const TokenFile& tokens, int vocabulary) {
  const std::string members = full_split_name(config.domain, config.members);
  const std::string non_members = full_split_name(config.domain, config.non_members);
  if (members == non_members)
    fail(ExitCode::usage, fmt::format("--members and --non-members are both {}: name two splits", members));
  Sides sides{{members, tokens.split(members, vocabulary), 0}, {non_members, tokens.split(non_members, vocabulary), 0}};
  const auto most = static_cast<std::size_t>(config.max_eval_samples);
  const std::size_t all = sides.members.split.sequences(), wanted = most > 0 ? std::min(most, all) : all;
  sides.members.sequences = wanted;
  sides.non_members.sequences = std::min(wanted, sides.non_members.split.sequences());
  if (sides.non_members.sequences < wanted && session.rank() == 0)
    log_warning(fmt::format("{} has {} sequences for {} members of {}; all of them are used", non_members,
                            sides.non_members.sequences, wanted, members));
  if (session.rank() == 0) warn_of_few(sides);
  return sides;
}

/// Passes both sides through a model; column i of the summary becomes the scores `names[i]`.
void add_pass(const Session& session, const MembershipConfig& config, const ModelSource& source,
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

/// A model that gives no numbers has no membership to infer.
void check_finite(const Side& side, const std::string& attack, const std::filesystem::path& model) {
  const std::vector<double>& values = side.scores.at(attack);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail(ExitCode::collapse, fmt::format("{}: the mean log-probability of {}, sequence {}, is {}: the model has collapsed",
                                           model.string(), side.name, i, values[i]));
}

/// The size under zlib of a sequence's text, BOS and EOS left out.
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

/// Turns the reference model's mean log-probabilities into how much likelier the model finds each sequence.
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
      log_warning(fmt::format("{}: every sequence is too short for {}, which is left out; tokenize with a larger --max-length",
                              (*unscored)->name, attack));
      continue;
    }
    const auto &members = sides.members.scores.at(attack), &non_members = sides.non_members.scores.at(attack);
    results.push_back({attack, members, non_members, summarise_attack(members, non_members, seed)});
  }
  return results;
}

void print_table(const Sides& sides, const std::vector<AttackResult>& results) {
  print_result("\n{} members of {}, {} non-members of {}\n", sides.members.sequences, sides.members.name,
               sides.non_members.sequences, sides.non_members.name);
  print_result("{:<22}{:>8}{:>18}{:>13}{:>13}{:>15}{:>15}\n", "attack", "AUC", "95 % interval", "TPR at 5 %", "TPR at 1 %",
               "TPR at 0.1 %", "best accuracy");
  for (const AttackResult& result : results) {
    const AttackFigures& f = result.figures;
    print_result("{:<22}{:>8.3f}{:>18}{:>11.1f} %{:>11.1f} %{:>13.1f} %{:>13.1f} %{}\n", result.name, f.auc,
                 fmt::format("{:.3f} to {:.3f}", f.auc_low, f.auc_high), 100 * f.tpr_at_5, 100 * f.tpr_at_1, 100 * f.tpr_at_0_1,
                 100 * f.best_accuracy, f.left_out > 0 ? fmt::format("  ({} too short, left out)", f.left_out) : "");
  }
  print_result("AUC 0.5: members look like non-members; above: remembered; below: less likely than text never seen.\n");
}

}  // namespace

void run_membership(Session& session, const MembershipConfig& config) {
  const Runtime& runtime = session.runtime();
  check_output(runtime, config.output, config.overwrite);
  const TokenFile tokens(config.tokens);
  const auto find = [&](const std::filesystem::path& path) {
    const ModelSource source = locate_model(runtime, path);
    check_tokenizer(runtime, source, tokens);
    return source;
  };
  const ModelSource source = find(config.model);
  std::optional<ModelSource> reference;
  if (!config.reference_model.empty()) reference = find(config.reference_model);
  const int vocabulary = std::min(source.config.vocab_size, reference.value_or(source).config.vocab_size);
  Sides sides = choose_sides(session, config, tokens, vocabulary);
  for (const Side* side : sides.both())
    for (const ModelSource& model : {source, reference.value_or(source)})
      check_window(model.config, side->name, side->split, side->sequences);
  MembershipSource described{
      describe(session, config, source), sides.members.name, sides.non_members.name, "", "", config.seed};

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
      log_warning(fmt::format("{}: no tokenizer.model, so there is no text for the attack zlib", source.side_files.string()));
    }
    const std::vector<AttackResult> results = summarise(attacks, sides, config.seed);
    print_table(sides, results);
    write_membership(config.output, existing_of(config.overwrite), described, results);
    return std::string();
  });
}

}  // namespace expunge
