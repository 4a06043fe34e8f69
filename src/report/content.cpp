// The overview of a report: the runs in a sentence each, their comparison, and the definitions of the metrics.
#include "report/content.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/log.h"
#include "report/options.h"
#include "report/plot_labels.h"

namespace expunge {
namespace {

const SplitMetrics* find(const std::optional<ReportEvaluation>& evaluation, const std::string& split) {
  if (!evaluation) return nullptr;
  const auto found = evaluation->splits.find(split);
  return found == evaluation->splits.end() ? nullptr : &found->second;
}

std::optional<SplitMetrics> copy(const SplitMetrics* found) { return found ? std::optional(*found) : std::nullopt; }

RunSummary summarise(const ReportRun& run, double pretraining_tokens) {
  RunSummary s;
  s.forget_after = copy(find(run.after, run.domain() + "/forget"));
  if (run.before && !run.before->origin.is_other()) {
    s.forget_before = copy(find(run.before, run.domain() + "/forget"));
    s.approximate_before = copy(find(run.before, run.domain() + "/approximate"));
  }
  const bool compared = run.compared();
  if (compared && s.forget_before && s.forget_after && s.approximate_before)
    s.distance = distance_to_goal(*s.forget_before, *s.approximate_before, *s.forget_after);
  if (compared) s.retained = retained_splits(run.before->splits, run.after->splits, run.domain());
  if (!s.retained.empty()) s.growth = retained_growth(run.before->splits, run.after->splits, s.retained);
  if (run.trajectory && run.parameters > 0 && run.trajectory->tokens > 0) {
    const double tokens = run.trajectory->tokens;
    const double forget = run.forget_counts ? static_cast<double>(run.forget_counts->tokens) : tokens;
    s.cost = count_flops(run.parameters, tokens, reference_tokens(run.options, tokens, forget), pretraining_tokens);
  }
  return s;
}

/// A text that is equal for two runs with comparable metrics; empty for a run that cannot be compared.
std::string comparison_key(const ReportRun& run, const RunSummary& s) {
  if (!s.distance || !s.growth) return {};
  std::string key = fmt::format("{}\n{}\n{}\n{}", run.before->model_sha256, run.checkpoint ? run.checkpoint->tokens_sha256 : "",
                                run.domain(), fmt::join(s.retained, "\n"));
  for (const Condition& condition : run.after->conditions)
    if (condition.name == "dtype" || condition.name == "device") key += "\n" + condition.value;
  return key;
}

std::array<double, 2> front_point(const RunSummary& s) { return {std::abs(s.distance->log_ratio), *s.growth}; }

/// The state of a run that a reader must know before its metrics: "unfinished, step 28 of 30".
std::string standing(const ReportRun& run) {
  if (!run.checkpoint) return run.has_checkpoints ? "none of its checkpoints can be read" : "it has no checkpoint yet";
  if (run.checkpoint->step >= run.checkpoint->total_steps) return {};
  return fmt::format("unfinished, step {} of {}", run.checkpoint->step, run.checkpoint->total_steps);
}

/// "by gradient_ascent, after 20 steps of npo on papers".
std::string deed(const ReportRun& run) {
  const std::string earlier = run.lineage.earlier_work();
  return "by " + method_name(run) + (earlier.empty() ? "" : fmt::format(", after {} (see Before)", earlier));
}

/// The result of the run: before and after.
std::string outcome(const ReportRun& run, const RunSummary& s) {
  if (const std::string reasons = run.incomparable(); !reasons.empty())
    return fmt::format("; before and after are shown and not compared: {}.", reasons);
  if (!s.distance) return "; before and after cannot be compared: see below for missing results.";
  const std::size_t changes = run.before->origin.changes;
  const bool original = changes == run.lineage.original;
  std::string text = fmt::format("; its perplexity went from {} to {}", number((*s.forget_before)["perplexity"]),
                                 number((*s.forget_after)["perplexity"]));
  if (!original) text += fmt::format(". Before is {}", run.lineage.name(changes));
  text +=
      fmt::format(". The goal is {}, the perplexity of {} on {}/approximate, text of the same kind that it never saw",
                  number((*s.approximate_before)["perplexity"]), original ? "the original model" : "that model", run.domain());
  if (const std::string way = way_gone(*s.distance); !way.empty()) text += fmt::format(" ({})", way);
  if (s.growth) text += fmt::format(". The perplexity of retained text grew by a factor of {}", number(*s.growth));
  if (s.cost && s.cost->retraining > 0)
    text += fmt::format(". {} cost {} times less than retraining", run.uncounted_work().empty() ? "It" : "Its own steps",
                        number(s.cost->ratio()));
  return text + ".";
}

std::string one_sentence(const ReportRun& run, const RunSummary& s) {
  const std::string state = standing(run), name = run.label + (state.empty() ? "" : fmt::format(" ({})", state));
  if (run.domain().empty())
    return fmt::format("{}: expunge train on {}; it had nothing to forget.", name, fmt::join(run.options.input.splits, ", "));
  return fmt::format("{}: {}/forget should be forgotten {}{}", name, run.domain(), deed(run), outcome(run, s));
}

/// The perplexity of the forget set before and after; names the model if it is not the run's.
std::string forget_cell(const ReportRun& run, const RunSummary& s) {
  if (!s.forget_after) return "–";
  const std::string after = number((*s.forget_after)["perplexity"]);
  if (run.after->origin.is_other()) return fmt::format("{} ({})", after, run.after->origin.mark);
  return (s.forget_before ? number((*s.forget_before)["perplexity"]) + " → " : "") + after;
}

std::string goal_cell(const ReportRun& run, const RunSummary& s) {
  if (!s.approximate_before) return "–";
  const std::size_t changes = run.before->origin.changes, original = run.lineage.original;
  std::string text = number((*s.approximate_before)["perplexity"]);
  if (changes > original) text += " (of a changed model)";
  if (changes < original) text += " (of an earlier model)";
  return text;
}

/// The strongest AUC, if it is of the run's own model on its forget and approximate sets; else the reason for not comparing it.
std::string attack_cell(const ReportRun& run) {
  if (!run.attacks_after) return "–";
  if (run.attacks_after->origin.is_other()) return run.attacks_after->origin.mark;
  return run.attacked_other_texts() ? "other texts" : fmt::format("{:.3f}", run.attacks_after->strongest().auc);
}

std::string method_cell(const ReportRun& run) {
  const std::string earlier = run.lineage.earlier_methods();
  return method_name(run) + (earlier.empty() ? "" : ", after " + earlier);
}

std::string cost_cell(const ReportRun& run, const RunSummary& s) {
  if (!s.cost) return "–";
  return fmt::format("{:.3g}{}", s.cost->total(), run.uncounted_work().empty() ? "" : " (own steps)");
}

std::string front_cell(const RunSummary& s) {
  if (s.rivals == 0) return "–";
  return s.on_front ? "on it" : "no";
}

Table comparison_table(const std::vector<ReportRun>& runs, const std::vector<RunSummary>& summaries) {
  Table table{{"Run", "Method", "Learning rate", "Forget perplexity", "Goal", "Distance, ln", "Accuracy gap", "Strongest AUC",
               "Retained perplexity", "FLOP", "Front"},
              {},
              {}};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const ReportRun& run = runs[i];
    const RunSummary& s = summaries[i];
    const std::string none = "–", distance = run.incomparable().empty() ? none : "not compared";
    table.rows.push_back({run.label, method_cell(run), fmt::format("{}", run.options.schedule.learning_rate),
                          forget_cell(run, s), goal_cell(run, s), s.distance ? signed_number(s.distance->log_ratio) : distance,
                          s.distance ? signed_number(s.distance->accuracy_gap) : distance, attack_cell(run),
                          s.growth ? "x " + number(*s.growth) : distance, cost_cell(run, s), front_cell(s)});
    table.marked.push_back(s.on_front && s.rivals > 0);
  }
  return table;
}

/// Plots the distance from the goal against the growth of retained perplexity, with the front as a line.
Plot front_plot(const std::vector<ReportRun>& runs, const std::vector<RunSummary>& summaries) {
  Curve all{"runs", {}, {}, Curve::Style::points, {}};
  std::vector<std::array<double, 2>> front;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (summaries[i].rivals == 0) continue;
    const auto point = front_point(summaries[i]);
    if (!std::isfinite(point[0]) || !std::isfinite(point[1])) continue;
    all.x.push_back(point[0]);
    all.y.push_back(point[1]);
    all.labels.push_back({runs[i].label});
    if (summaries[i].on_front) front.push_back(point);
  }
  place_labels(all);
  std::sort(front.begin(), front.end());
  Curve line{"Pareto front", {}, {}, Curve::Style::line_points, {}};
  for (const auto& [x, y] : front) {
    line.x.push_back(x);
    line.y.push_back(y);
  }
  return {.name = "front",
          .description = "Forgetting against retained quality, one point per run",
          .x_label = "distance from the goal, |ln|",
          .y_label = "retained perplexity, after / before",
          .curves = {std::move(all), std::move(line)},
          .from_zero = true};
}

void add_comparison(const std::vector<ReportRun>& runs, const std::vector<RunSummary>& summaries, Plotter& plotter,
                    std::vector<Block>& blocks) {
  blocks.push_back(Heading{2, "Comparison"});
  blocks.push_back(Paragraph{
      "Distance: ln(forget perplexity now / approximate perplexity of the original model). It is 0 at the goal, and negative "
      "while the model still knows the forget set better than unseen text. Accuracy gap: the same difference of accuracies, in "
      "percentage points. Strongest AUC: the AUC farthest from 0.5 among the membership inference attacks that scored forget "
      "and approximate under the run's own model. Retained perplexity: after / before, geometric mean over all splits except "
      "forget and approximate. Front: yes if no other run is at least as close to the goal and retains at least as well. Only "
      "runs of the same original model, tokens, domain, evaluated splits and conditions are compared."});
  if (std::ranges::any_of(runs, [](const ReportRun& run) { return run.attacks_after.has_value(); }))
    blocks.push_back(Paragraph{
        "An AUC near 1 and a distance near 0 do not contradict each other. The AUC is the chance that a forget sequence scores "
        "higher than an approximate one, both under the run's own model; a model that saw neither has 0.5. It depends only on "
        "the order of the scores. Text learnt over many epochs scores far higher at first, so its perplexity can rise "
        "several-fold before the order changes. A run that raises it usually also raises that of unseen text of the same kind. "
        "The distance compares with unseen text under the original model."});
  blocks.push_back(comparison_table(runs, summaries));
  int groups = 0;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (summaries[i].rivals == 0) continue;
    const std::string key = comparison_key(runs[i], summaries[i]);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      ++groups;
      keys.push_back(key);
    }
  }
  if (groups == 0) {
    if (runs.size() > 1)
      blocks.push_back(
          Paragraph{"No two runs can be compared: that needs the same original model, tokens, domain and evaluated splits, and "
                    "evaluations before and after.",
                    Paragraph::Kind::note});
    return;
  }
  if (groups > 1) {
    blocks.push_back(
        Paragraph{"The runs differ in original model, tokens, domain or evaluated splits; each is compared only with runs of "
                  "its kind, and there is no common front.",
                  Paragraph::Kind::note});
    return;
  }
  Gallery gallery;
  plotter.add(front_plot(runs, summaries),
              "Forgetting against retained quality: down and to the left is better. A run is on the Pareto front if no other "
              "run is at least as good in both and better in one. \"R2 +3\" stands for R2 and three runs close to it.",
              gallery);
  if (!gallery.plots.empty()) blocks.push_back(std::move(gallery));
}

void add_method(const ReportConfig& config, std::vector<Block>& blocks) {
  blocks.push_back(Heading{2, "How the metrics are computed"});
  blocks.push_back(
      Paragraph{"Perplexity: exp of the mean over sequences of a sequence's mean negative log-likelihood; per token: exp of "
                "the mean over all targets. Accuracy: percent of targets that are the most likely token, mean over sequences. "
                "The goal is approximate retraining: a model that treats the forget set as the original model treats the "
                "approximate set, text of the same distribution that it never saw, and that is otherwise unchanged."});
  blocks.push_back(
      Paragraph{"Compute: 6 x parameters x tokens for training, and about 2 x parameters x tokens for tokens through the "
                "reference model (KL terms, adversarial labels, its own nll of the forget set). Retraining: 6 x parameters x "
                "pretraining tokens. Evaluation is not counted."});
  if (config.pretraining_tokens == 0)
    blocks.push_back(
        Paragraph{"The ratio to retraining needs the number of tokens in the original model's training: give the report "
                  "--pretraining-tokens N (Yi-6B: about 3e12).",
                  Paragraph::Kind::note});
  blocks.push_back(
      Paragraph{"Membership inference: do scores separate texts that the model learnt from texts that it did not? The section "
                "of a run names the scored splits; the comparison uses only scores of forget as members and approximate as "
                "non-members. Intervals of the AUC are bootstrap 95 %. TPR at x %: the largest true-positive rate at a "
                "false-positive rate of at most x %."});
  blocks.push_back(
      Paragraph{"Methods and metrics: Jin Yao, Eli Chien, Minxin Du, Xinyao Niu, Tianhao Wang, Zezhou Cheng, Xiang Yue. "
                "Machine Unlearning of Pre-trained Large Language Models. ACL 2024, arXiv 2402.15159. Colours of the plots: "
                "Masataka Okabe and Kei Ito's palette for all kinds of colour vision."});
}

}  // namespace

std::vector<RunSummary> summarise_runs(const std::vector<ReportRun>& runs, double pretraining_tokens) {
  std::vector<RunSummary> summaries;
  std::map<std::string, std::vector<std::size_t>> groups;
  for (const ReportRun& run : runs) {
    summaries.push_back(summarise(run, pretraining_tokens));
    if (const std::string key = comparison_key(run, summaries.back()); !key.empty())
      groups[key].push_back(summaries.size() - 1);
  }
  for (const auto& [key, members] : groups) {
    std::vector<std::array<double, 2>> points;
    for (const std::size_t i : members) points.push_back(front_point(summaries[i]));
    const std::vector<bool> front = pareto_front(points);
    for (std::size_t m = 0; m < members.size(); ++m) {
      summaries[members[m]].on_front = front[m];
      summaries[members[m]].rivals = static_cast<int>(members.size()) - 1;
    }
  }
  return summaries;
}

void Plotter::add(const Plot& plot, const std::string& caption, Gallery& gallery) {
  if (missing_ || !has_points(plot)) return;
  if (std::optional<std::string> svg = draw(plot)) {
    gallery.plots.push_back({plot.name, std::move(*svg), caption});
    return;
  }
  missing_ = true;
  log_warning(
      "gnuplot is not installed, so the report has no plots; install it (Debian and Ubuntu: package gnuplot-nox) and make the "
      "report again");
}

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.4g}", value) : "–"; }
std::string percent(double value) { return std::isfinite(value) ? fmt::format("{:.2f} %", value) : "–"; }
std::string signed_number(double value) { return std::isfinite(value) ? fmt::format("{:+.3f}", value) : "–"; }

std::string counted(double value, const std::string& what) {
  return fmt::format("{} {}{}", count(value), what, value == 1 ? "" : "s");
}

std::string count(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string way_gone(const GoalDistance& distance) {
  if (!std::isfinite(distance.progress)) return {};
  if (distance.progress < 0) return "farther from it than before";
  if (distance.progress < 1.005) return fmt::format("{:.0f} % of the way in log perplexity", 100 * distance.progress);
  return fmt::format("past the goal by a factor of {}", number(std::exp(distance.log_ratio)));
}

std::string method_name(const ReportRun& run) {
  const RunOptions& options = run.options;
  std::string name = options.method.name;
  if (name.empty()) return "plain descent";
  if (options.labels.top_k > 0) name += fmt::format(", top-k {}", options.labels.top_k);
  if (options.labels.top_p < 1) name += fmt::format(", top-p {}", options.labels.top_p);
  if (options.labels.rm_groundtruth) name += ", never the true id";
  if (options.samples.retain.general) name += ", general retain";
  if (options.released) name += ", as released";
  return name;
}

Document describe_report(const std::vector<ReportRun>& runs, const ReportConfig& config, Plotter& plotter) {
  const std::vector<RunSummary> summaries = summarise_runs(runs, config.pretraining_tokens);
  Document document{config.title, {}};
  for (std::size_t i = 0; i < runs.size(); ++i) document.blocks.push_back(Paragraph{one_sentence(runs[i], summaries[i])});
  const std::size_t top = document.blocks.size();
  add_comparison(runs, summaries, plotter, document.blocks);
  for (std::size_t i = 0; i < runs.size(); ++i) add_run_section(runs[i], summaries[i], config, plotter, document.blocks);
  add_method(config, document.blocks);
  if (plotter.missing())
    document.blocks.insert(document.blocks.begin() + static_cast<std::ptrdiff_t>(top),
                           Paragraph{"This report has no plots, because gnuplot was not installed where it was made: install "
                                     "it (Debian and Ubuntu: package gnuplot-nox) and make the report again.",
                                     Paragraph::Kind::note});
  return document;
}

}  // namespace expunge
