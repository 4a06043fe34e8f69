// The section of one run: before and after, attacks, course, compute.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "expunge/objective.h"
#include "report/content.h"
#include "report/options.h"
#include "report/shared_text.h"
#include "run/results/mia.h"

namespace expunge {
namespace {

/// "Compared" cell of a condition.
std::string verdict_of(const ConditionPair& pair, bool both) {
  if (!both) return "–";
  if (pair.differs()) return "differs";
  return pair.known() ? "same" : "unknown";
}

/// Adds the conditions of the metrics above. `before` and `after`: true if there are such metrics.
void add_conditions(const std::vector<ConditionPair>& pairs, bool before, bool after, std::vector<Block>& blocks) {
  if (const std::string differing = differences(pairs); !differing.empty())
    blocks.push_back(
        Paragraph{fmt::format("Before and after were computed under other conditions; do not compare them: {}. Make both under "
                              "the same conditions.",
                              differing),
                  Paragraph::Kind::note});
  Table table{{"Computed with", "Before", "After", "Compared"}, {}, {}};
  for (const ConditionPair& pair : pairs) {
    const std::string verdict = verdict_of(pair, before && after);
    table.rows.push_back(
        {pair.name, before ? shown_condition(pair.before) : "–", after ? shown_condition(pair.after) : "–", verdict});
    table.marked.push_back(verdict == "differs" || verdict == "unknown");
  }
  blocks.push_back(std::move(table));
}

/// The value of a metric; "–" if unknown.
std::string shown(const Metric& metric, double value) { return std::isfinite(value) ? metric.text(value) : "–"; }

void add_evaluation(const ReportRun& run, const RunSummary& s, std::vector<Block>& blocks) {
  if (!run.before && !run.after) return;
  blocks.push_back(Heading{3, "Before and after"});
  std::set<std::string> names;
  for (const auto* evaluation : {&run.before, &run.after})
    if (*evaluation)
      for (const auto& [name, metrics] : (*evaluation)->splits) names.insert(name);
  Table table{{"Split", "Sequences"}, {}, {}};
  for (const Metric& metric : metrics()) {
    std::string heading(metric.heading);
    heading.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(heading.front())));
    for (const char* when : {" before", " after"}) table.head.push_back(heading + when);
    if (is_first(metric)) table.head.emplace_back("After / before");
  }
  const bool comparable = run.incomparable().empty();
  for (const std::string& name : names) {
    const auto found = [&](const std::optional<ReportEvaluation>& evaluation) {
      const bool known = evaluation && evaluation->splits.contains(name);
      return known ? evaluation->splits.at(name) : SplitMetrics();
    };
    const SplitMetrics before = found(run.before), after = found(run.after);
    const auto sequences = static_cast<double>(std::max(before.sequences, after.sequences));
    std::vector<std::string> row = {name, sequences > 0 ? count(sequences) : "–"};
    for (const Metric& metric : metrics()) {
      const double was = before[metric.name], is = after[metric.name];
      row.push_back(shown(metric, was));
      row.push_back(shown(metric, is));
      if (is_first(metric)) row.push_back(comparable ? number(is / was) : "not compared");
    }
    table.rows.push_back(std::move(row));
    table.marked.push_back(name == run.domain() + "/forget");
  }
  blocks.push_back(std::move(table));
  add_conditions(run.evaluated, run.before.has_value(), run.after.has_value(), blocks);
  if (!s.distance) return;
  blocks.push_back(Heading{3, "Distance to approximate retraining"});
  Table distance;
  distance.rows = {
      {"Goal",
       fmt::format("perplexity {}, accuracy {} ({}/approximate under {})", number((*s.approximate_before)["perplexity"]),
                   percent((*s.approximate_before)["accuracy"]), run.domain(), run.lineage.name(run.before->origin.changes))},
      {"Forget set now", fmt::format("perplexity {}, accuracy {}", number((*s.forget_after)["perplexity"]),
                                     percent((*s.forget_after)["accuracy"]))},
      {"Log ratio", fmt::format("{} (0: at the goal; {})", signed_number(s.distance->log_ratio),
                                s.distance->log_ratio < 0 ? "the model still knows it better than unseen text"
                                                          : "the model knows it less than unseen text")},
      {"Accuracy gap", fmt::format("{} percentage points", signed_number(s.distance->accuracy_gap))}};
  if (std::string way = way_gone(*s.distance); !way.empty()) distance.rows.push_back({"Way to the goal", std::move(way)});
  if (s.growth)
    distance.rows.push_back({"Retained", fmt::format("perplexity x {} over {}", number(*s.growth),
                                                     counted(static_cast<double>(s.retained.size()), "split"))});
  blocks.push_back(std::move(distance));
}

std::string share(double value, double error) {
  return std::isfinite(error) ? fmt::format("{:.2f} ± {:.2f} %", 100 * value, 100 * error) : percent(100 * value);
}

void add_tasks(const ReportRun& run, std::vector<Block>& blocks) {
  if (!run.tasks_before && !run.tasks_after) return;
  blocks.push_back(Heading{3, "Tasks"});
  Table table{{"Task", "Items", "Metric", "Before", "After"}, {}, {}};
  const ReportTasks& shown = run.tasks_after ? *run.tasks_after : *run.tasks_before;
  const auto cell = [](const std::optional<ReportTasks>& tasks, const std::string& name, std::string_view label) {
    if (tasks)
      for (const StoredTask& task : tasks->results)
        for (const StoredRate& rate : task.rates)
          if (task.name == name && rate.label == label) return share(rate.share, rate.error);
    return std::string("–");
  };
  for (const StoredTask& task : shown.results)
    for (const StoredRate& rate : task.rates)
      table.rows.push_back({task.name, count(static_cast<double>(task.items)), std::string(rate.label),
                            cell(run.tasks_before, task.name, rate.label), cell(run.tasks_after, task.name, rate.label)});
  blocks.push_back(std::move(table));
  add_conditions(run.asked, run.tasks_before.has_value(), run.tasks_after.has_value(), blocks);
}

Plot roc_plot(const ReportRun& run, const ReportAttacks& attacks, const std::string& when) {
  Plot plot{.name = fmt::format("roc-{}-{}", when, run.label),
            .description = fmt::format("ROC curves of membership inference, {}", when),
            .x_label = "false-positive rate",
            .y_label = "true-positive rate",
            .curves = {},
            .unit_square = true};
  for (const StoredAttack* attack : attacks.strongest_by_family())
    plot.curves.push_back({attack->name, attack->curve.fpr, attack->curve.tpr, Curve::Style::line, {}});
  return plot;
}

/// Names the scored texts, and warns if they are too few.
void add_scored_texts(const ReportAttacks& attacks, std::vector<Block>& blocks) {
  std::uint64_t members = 0, non_members = 0;  // scored by at least one attack
  for (const StoredAttack& attack : attacks.attacks) {
    members = std::max(members, attack.members);
    non_members = std::max(non_members, attack.non_members);
  }
  const auto side = [&](const char* condition, std::uint64_t sequences) {
    const std::string split = value_of(attacks.conditions, condition);
    return fmt::format("{} of {}", sequences > 0 ? counted(static_cast<double>(sequences), "sequence") : "sequences",
                       split.empty() ? "a split that the file does not name" : split);
  };
  blocks.push_back(
      Paragraph{fmt::format("Members: {}. Non-members: {}.", side("members", members), side("non_members", non_members))});
  if (members == 0 || non_members == 0) return;
  if (const std::string warning = few_sequences(members, non_members); !warning.empty())
    blocks.push_back(Paragraph{warning + ".", Paragraph::Kind::note});
}

void add_curves(const ReportRun& run, Plotter& plotter, std::vector<Block>& blocks) {
  Gallery gallery;
  const std::string rest = " The plot shows the strongest attack of each family.";
  const auto of = [](const ResultOrigin& origin, const std::string& otherwise) {
    return origin.is_other() ? fmt::format("Of {}.", origin.mark) : otherwise;
  };
  if (run.attacks_before) {
    const ResultOrigin& origin = run.attacks_before->origin;
    plotter.add(roc_plot(run, *run.attacks_before, "before"),
                of(origin, fmt::format("Before: {}.", run.lineage.name(origin.changes))) + rest, gallery);
  }
  if (run.attacks_after) {
    const char* own = run.attacked_other_texts() ? "Model of the run."
                                                 : "Model of the run: the nearer to the diagonal, the better forgotten.";
    plotter.add(roc_plot(run, *run.attacks_after, "after"), of(run.attacks_after->origin, own) + rest, gallery);
  }
  if (!gallery.plots.empty()) blocks.push_back(std::move(gallery));
}

/// The direction of the rates.
std::string direction_of(const StoredAttack& attack) {
  if (!attack.low) return "high (low is not recorded)";
  return attack.low_is_stronger ? "low" : "high";
}

void add_attacks(const ReportRun& run, Plotter& plotter, std::vector<Block>& blocks) {
  if (!run.attacks_before && !run.attacks_after) return;
  blocks.push_back(Heading{3, "Membership inference"});
  Table table{{"Attack", "AUC before", "AUC after", "95 % interval", "Members score", "Best accuracy", "TPR at 5 %",
               "TPR at 1 %", "TPR at 0.1 %"},
              {},
              {}};
  const ReportAttacks& shown = run.attacks_after ? *run.attacks_after : *run.attacks_before;
  for (const StoredAttack& attack : shown.attacks) {
    const AttackRates& best = attack.stronger();
    std::string before = "–";
    if (run.attacks_before)
      for (const StoredAttack& other : run.attacks_before->attacks)
        if (other.name == attack.name) before = fmt::format("{:.3f}", other.auc);
    table.rows.push_back({attack.name, before, run.attacks_after ? fmt::format("{:.3f}", attack.auc) : "–",
                          fmt::format("{:.3f} to {:.3f}", attack.auc_low, attack.auc_high), direction_of(attack),
                          fmt::format("{:.3f}", best.best_accuracy), fmt::format("{:.3f}", best.tpr_at_5),
                          fmt::format("{:.3f}", best.tpr_at_1), fmt::format("{:.3f}", best.tpr_at_0_1)});
  }
  if (!run.attacks_after)
    blocks.push_back(Paragraph{"Before only; the run's own model has not been attacked yet.", Paragraph::Kind::note});
  if (run.attacked_other_texts())
    blocks.push_back(Paragraph{"Not the forget set against the approximate one: these rates do not enter the comparison.",
                               Paragraph::Kind::note});
  blocks.push_back(std::move(table));
  add_scored_texts(shown, blocks);
  blocks.push_back(
      Paragraph{"Accuracy and rates assume an attacker who knows whether members score high or low. " + shown.sampling()});
  add_conditions(run.attacked, run.attacks_before.has_value(), run.attacks_after.has_value(), blocks);
  add_curves(run, plotter, blocks);
}

std::vector<double> perplexities(std::vector<double> nll) {
  for (double& value : nll) value = std::exp(value);
  return nll;
}

/// True if the nll of forget in metrics.h5 is of labels other than the texts themselves.
bool trains_on_other_labels(const ReportRun& run) {
  if (!run.options.labels.given.empty()) return true;
  const std::string& method = run.options.method.name;
  return known_method(method) && find_method(method).replaces_labels;
}

void add_course(const ReportRun& run, const RunSummary& s, Plotter& plotter, std::vector<Block>& blocks) {
  if (!run.trajectory || run.trajectory->step.empty()) return;
  const Trajectory& t = *run.trajectory;
  const auto style = t.step.size() <= 40 ? Curve::Style::line_points : Curve::Style::line;
  const Plot loss{.name = "loss-" + run.label,
                  .description = "Loss over optimizer steps",
                  .x_label = "optimizer step",
                  .y_label = "loss, nats",
                  .curves = {{"minimised", t.step, t.loss, style, {}},
                             {"nll of forget", t.step, t.loss_forget, style, {}},
                             {"nll of retain", t.step, t.loss_retain, style, {}}}};
  Plot perplexity{.name = "perplexity-" + run.label,
                  .description = "Perplexity of the sequences trained on, over optimizer steps",
                  .x_label = "optimizer step",
                  .y_label = "perplexity",
                  .curves = {{"forget", t.step, perplexities(t.loss_forget), style, {}},
                             {"retain", t.step, perplexities(t.loss_retain), style, {}}}};
  const bool other_labels = trains_on_other_labels(run);
  if (other_labels) perplexity.curves.clear();  // because they would look like perplexities of the texts
  if (s.approximate_before && std::isfinite((*s.approximate_before)["perplexity"])) {
    perplexity.level = (*s.approximate_before)["perplexity"];
    perplexity.level_title = "goal";
  }
  Plot evaluated{.name = "evaluation-" + run.label,
                 .description = "Perplexity of whole splits over optimizer steps",
                 .x_label = "optimizer step",
                 .y_label = "perplexity",
                 .curves = {}};
  if (!run.evaluations.empty())
    for (const auto& [name, last] : run.evaluations.back().splits) {
      std::vector<double> steps, values;
      for (const EvaluationRow& row : run.evaluations) {
        steps.push_back(static_cast<double>(row.step));
        values.push_back(row.splits.at(name)["perplexity"]);
      }
      evaluated.curves.push_back({name, std::move(steps), std::move(values), Curve::Style::line_points, {}});
    }
  Gallery gallery;
  plotter.add(
      loss,
      std::string("The minimised loss of each step, and the mean negative log-likelihood of its forget and retain sequences") +
          (other_labels ? "; that of forget is of the labels in training, not of the texts." : "."),
      gallery);
  plotter.add(perplexity, "Perplexity of each step's own sequences before its update; it also varies with the sequences.",
              gallery);
  plotter.add(evaluated, "Perplexity of whole splits, as evaluated inside the run.", gallery);
  if (gallery.plots.empty()) return;
  blocks.push_back(Heading{3, "Course of the run"});
  blocks.push_back(std::move(gallery));
}

void add_compute(const ReportRun& run, const RunSummary& s, const ReportConfig& config, std::vector<Block>& blocks) {
  if (!s.cost) return;
  blocks.push_back(Heading{3, "Compute"});
  Table table;
  table.rows.push_back({"Training", fmt::format("{:.3g} FLOP = 6 x {} parameters x {} tokens", s.cost->training,
                                                count(run.parameters), count(run.trajectory->tokens))});
  if (const std::string earlier = run.uncounted_work(); !earlier.empty())
    table.rows.push_back({"Not counted", fmt::format("{}, by earlier runs: the compute is of this run's own steps", earlier)});
  if (s.cost->reference > 0)
    table.rows.push_back({"Reference model", fmt::format("about {:.3g} FLOP = 2 x parameters x {} tokens", s.cost->reference,
                                                         count(s.cost->reference / (2 * run.parameters)))});
  table.rows.push_back({"In all", fmt::format("{:.3g} FLOP", s.cost->total())});
  if (s.cost->retraining > 0) {
    table.rows.push_back({"Retraining", fmt::format("{:.3g} FLOP = 6 x parameters x {:.3g} tokens", s.cost->retraining,
                                                    config.pretraining_tokens)});
    table.rows.push_back(
        {"Ratio",
         fmt::format("retraining costs {:.3g} times as much; the study claims more than 1e5 for its runs", s.cost->ratio())});
  }
  blocks.push_back(std::move(table));
}

}  // namespace

void add_run_section(const ReportRun& run, const RunSummary& summary, const ReportConfig& config, Plotter& plotter,
                     std::vector<Block>& blocks) {
  const std::string name = run.folder.filename().string();
  blocks.push_back(Heading{2, fmt::format("{}: {}", run.label, name.empty() ? run.folder.string() : name)});
  blocks.push_back(identify_run(run));
  for (const std::string& note : run.notes) blocks.push_back(Paragraph{note, Paragraph::Kind::note});
  add_shared_text(run, blocks);
  add_evaluation(run, summary, blocks);
  add_tasks(run, blocks);
  add_attacks(run, plotter, blocks);
  add_course(run, summary, plotter, blocks);
  add_compute(run, summary, config, blocks);
  blocks.push_back(Listing{"Options of the run", run.config});
}

}  // namespace expunge
