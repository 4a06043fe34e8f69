// The section of one run: what was forgotten and with what, before and after, attacks, course, compute.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "expunge/core/log.h"
#include "expunge/io/hash.h"
#include "expunge/train/checkpoint.h"
#include "expunge/unlearn/objective.h"
#include "train/history.h"
#include "train/report_content.h"
#include "train/report_shared_text.h"

namespace expunge {
namespace {

using Fact = std::vector<std::string>;

std::string original_model(const ReportRun& run) {
  return run.option("model").empty() ? "random weights, " + run.option("init-config") : run.option("model");
}

std::string forgotten(const ReportRun& run) {
  if (run.domain().empty()) return "nothing: expunge train on " + run.option("split");
  const std::string split = run.domain() + "/forget";
  if (!run.forget_counts) return split;
  const auto number = [](std::uint64_t value) { return count(static_cast<double>(value)); };
  const SplitCounts& all = *run.forget_counts;
  std::string text = fmt::format("{}, {} documents, {} sequences, {} tokens", split, number(all.documents),
                                 number(all.sequences), number(all.tokens));
  if (!run.forget_taken || run.forget_taken->sequences == all.sequences) return text;
  if (run.forget_taken->sequences == 0) return text + "; the run trained on none of them";
  return text + fmt::format("; the run trained on {} of the sequences, {} tokens", number(run.forget_taken->sequences),
                            number(run.forget_taken->tokens));
}

/// A row for each run that this one began from, oldest first.
void add_history(const ReportRun& run, std::vector<Fact>& rows) {
  std::int64_t done = 0;  // steps that count
  for (const FormerRun& former : parse_history(run.checkpoint->history, run.checkpoint_folder.string())) {
    const bool counts = former.how == FormerRun::kState;
    const std::string steps =
        counts ? fmt::format("steps {} to {}", done + 1, former.step) : fmt::format("{} steps", former.step);
    rows.push_back({"Before", fmt::format("{} by {}, learning rate {}, in {} (SHA-256 {})", steps, method_of(former.config),
                                          config_value(former.config, "learning-rate"), former.from, former.sha256)});
    done = counts ? former.step : 0;
  }
  if (done > 0) rows.push_back({"Steps of this run", fmt::format("{} to {}", done + 1, run.checkpoint->step)});
}

Table identity(const ReportRun& run) {
  Table table;
  std::vector<Fact>& rows = table.rows;
  rows.push_back({"Folder", run.folder.string()});
  rows.push_back({"Forgotten", forgotten(run)});
  rows.push_back({"Method", fmt::format("{}, learning rate {}, seed {}", method_name(run), run.option("learning-rate"),
                                        run.option("seed"))});
  rows.push_back({"Original model", original_model(run)});
  rows.push_back({"Tokens", run.option("tokens")});
  if (run.parameters > 0) rows.push_back({"Parameters", count(run.parameters)});
  if (run.checkpoint) {
    const CheckpointInfo& info = *run.checkpoint;
    rows.push_back({"model_sha256", info.model_sha256});
    rows.push_back({"tokens_sha256", info.tokens_sha256});
    add_history(run, rows);
    rows.push_back({"Steps", fmt::format("{} of {}, {} sequences a step, {} sequences in all", info.step, info.total_steps,
                                         info.global_batch, info.samples)});
    rows.push_back({"Checkpoint", run.checkpoint_folder.filename().string()});
    rows.push_back({"Its SHA-256", sha256_file(run.checkpoint_folder / kManifest)});
    rows.push_back(
        {"Written", fmt::format("{} on {}, {} rank{}, {}, gather {}, expunge {}", info.written, info.host, info.world_size,
                                info.world_size == 1 ? "" : "s", info.dtype, info.gather, info.version)});
    rows.push_back({"Job", fmt::format("{}, resumed {} time{}", info.job_id.empty() ? "outside of a batch system" : info.job_id,
                                       info.restarts, info.restarts == 1 ? "" : "s")});
  }
  if (run.trajectory && run.trajectory->seconds > 0)
    rows.push_back({"Time in steps", fmt::format("{}, at most {} a rank", format_duration(run.trajectory->seconds),
                                                 format_bytes(static_cast<double>(run.trajectory->memory_bytes)))});
  return table;
}

/// How the figures above were computed. `before` and `after`: whether there are any of each.
void add_conditions(const std::vector<ConditionPair>& pairs, bool before, bool after, std::vector<Block>& blocks) {
  if (const std::string differing = differences(pairs); !differing.empty())
    blocks.push_back(
        Paragraph{fmt::format("Before and after were computed differently and are not to be compared: {}. Make both in "
                              "the same way.",
                              differing),
                  Paragraph::Kind::note});
  Table table{{"Computed with", "Before", "After", "Compared"}, {}, {}};
  for (const ConditionPair& pair : pairs) {
    const std::string verdict = !before || !after ? "–" : pair.differs() ? "differs" : pair.known() ? "same" : "unknown";
    table.rows.push_back(
        {pair.name, before ? shown_condition(pair.before) : "–", after ? shown_condition(pair.after) : "–", verdict});
    table.marked.push_back(verdict == "differs" || verdict == "unknown");
  }
  blocks.push_back(std::move(table));
}

void add_evaluation(const ReportRun& run, const RunSummary& s, std::vector<Block>& blocks) {
  if (!run.before && !run.after) return;
  blocks.push_back(Heading{3, "Before and after"});
  std::set<std::string> names;
  for (const auto* evaluation : {&run.before, &run.after})
    if (*evaluation)
      for (const auto& [name, figures] : (*evaluation)->splits) names.insert(name);
  Table table{{"Split", "Sequences", "Perplexity before", "Perplexity after", "After / before", "Per token before",
               "Per token after", "Accuracy before", "Accuracy after", "Extraction before", "Extraction after"},
              {},
              {}};
  const std::string differing = differences(run.evaluated);
  for (const std::string& name : names) {
    const auto figures = [&](const std::optional<ReportEvaluation>& evaluation) {
      const bool known = evaluation && evaluation->splits.contains(name);
      return known ? evaluation->splits.at(name) : SplitFigures{NAN, NAN, NAN, 0, 0, NAN};
    };
    const SplitFigures before = figures(run.before), after = figures(run.after);
    const auto sequences = static_cast<double>(std::max(before.sequences, after.sequences));
    table.rows.push_back({name, sequences > 0 ? count(sequences) : "–", number(before.perplexity), number(after.perplexity),
                          differing.empty() ? number(after.perplexity / before.perplexity) : "not compared",
                          number(before.token_perplexity), number(after.token_perplexity), percent(before.accuracy),
                          percent(after.accuracy), percent(100 * before.extraction_strength),
                          percent(100 * after.extraction_strength)});
    table.marked.push_back(name == run.domain() + "/forget");
  }
  blocks.push_back(std::move(table));
  add_conditions(run.evaluated, run.before.has_value(), run.after.has_value(), blocks);
  if (!s.distance) return;
  blocks.push_back(Heading{3, "Distance to approximate retraining"});
  Table distance;
  distance.rows = {
      {"Goal", fmt::format("perplexity {}, accuracy {} (original model on {}/approximate)",
                           number(s.approximate_before->perplexity), percent(s.approximate_before->accuracy), run.domain())},
      {"Forget set now",
       fmt::format("perplexity {}, accuracy {}", number(s.forget_after->perplexity), percent(s.forget_after->accuracy))},
      {"Log ratio", fmt::format("{} (0: at the goal; {})", signed_number(s.distance->log_ratio),
                                s.distance->log_ratio < 0 ? "the model still knows it better than unseen text"
                                                          : "the model knows it less than unseen text")},
      {"Accuracy gap", fmt::format("{} percentage points", signed_number(s.distance->accuracy_gap))}};
  if (std::string way = way_gone(*s.distance); !way.empty()) distance.rows.push_back({"Way to the goal", std::move(way)});
  if (s.growth)
    distance.rows.push_back({"Retained", fmt::format("perplexity x {} over {} splits", number(*s.growth), s.retained.size())});
  blocks.push_back(std::move(distance));
}

std::string share(double value, double error) {
  return std::isfinite(error) ? fmt::format("{:.2f} ± {:.2f} %", 100 * value, 100 * error) : percent(100 * value);
}

void add_tasks(const ReportRun& run, std::vector<Block>& blocks) {
  if (!run.tasks_before && !run.tasks_after) return;
  blocks.push_back(Heading{3, "Tasks"});
  Table table{{"Task", "Items", "Figure", "Before", "After"}, {}, {}};
  const ReportTasks& shown = run.tasks_after ? *run.tasks_after : *run.tasks_before;
  for (const ReportTask& task : shown.tasks) {
    const auto row = [&](const char* figure, double ReportTask::*value, double ReportTask::*error) {
      const auto cell = [&](const std::optional<ReportTasks>& tasks) {
        if (tasks)
          for (const ReportTask& one : tasks->tasks)
            if (one.name == task.name) return share(one.*value, one.*error);
        return std::string("–");
      };
      if (std::isfinite(task.*value))
        table.rows.push_back({task.name, count(task.items), figure, cell(run.tasks_before), cell(run.tasks_after)});
    };
    row("accuracy", &ReportTask::accuracy, &ReportTask::accuracy_error);
    row("accuracy, normalised", &ReportTask::normalised, &ReportTask::normalised_error);
    row("exact match", &ReportTask::exact_match, &ReportTask::exact_match_error);
  }
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
  for (const ReportAttack* attack : attacks.strongest_by_family())
    plot.curves.push_back({attack->name, attack->fpr, attack->tpr, Curve::Style::line, {}});
  return plot;
}

void add_attacks(const ReportRun& run, Plotter& plotter, std::vector<Block>& blocks) {
  if (!run.attacks_before && !run.attacks_after) return;
  blocks.push_back(Heading{3, "Membership inference"});
  Table table{{"Attack", "AUC before", "AUC after", "95 % interval", "Members score", "Best accuracy", "TPR at 5 %",
               "TPR at 1 %", "TPR at 0.1 %"},
              {},
              {}};
  const ReportAttacks& shown = run.attacks_after ? *run.attacks_after : *run.attacks_before;
  for (const ReportAttack& attack : shown.attacks) {
    std::string before = "–";
    if (run.attacks_before)
      for (const ReportAttack& other : run.attacks_before->attacks)
        if (other.name == attack.name) before = fmt::format("{:.3f}", other.auc);
    table.rows.push_back({attack.name, before, run.attacks_after ? fmt::format("{:.3f}", attack.auc) : "–",
                          fmt::format("{:.3f} to {:.3f}", attack.auc_low, attack.auc_high),
                          attack.stronger.empty() ? "high (low is not recorded)" : attack.stronger,
                          fmt::format("{:.3f}", attack.best_accuracy), fmt::format("{:.3f}", attack.tpr_at_5),
                          fmt::format("{:.3f}", attack.tpr_at_1), fmt::format("{:.3f}", attack.tpr_at_0_1)});
  }
  if (!run.attacks_after)
    blocks.push_back(
        Paragraph{"Of the original model only; the run's own model has not been attacked yet.", Paragraph::Kind::note});
  blocks.push_back(std::move(table));
  blocks.push_back(Paragraph{"Accuracy and rates are those of an attacker who knows whether members score high or low. " +
                             shown.sampling()});
  add_conditions(run.attacked, run.attacks_before.has_value(), run.attacks_after.has_value(), blocks);
  Gallery gallery;
  const std::string rest = " Of each family of attacks the strongest is drawn.";
  if (run.attacks_before) plotter.add(roc_plot(run, *run.attacks_before, "before"), "Original model." + rest, gallery);
  if (run.attacks_after)
    plotter.add(roc_plot(run, *run.attacks_after, "after"),
                "Model of the run: the nearer to the diagonal, the better forgotten." + rest, gallery);
  if (!gallery.figures.empty()) blocks.push_back(std::move(gallery));
}

std::vector<double> perplexities(std::vector<double> nll) {
  for (double& value : nll) value = std::exp(value);
  return nll;
}

/// Whether the nll of forget in metrics.h5 is that of labels other than the texts themselves.
bool trains_on_other_labels(const ReportRun& run) {
  if (!run.option("labels").empty()) return true;
  return std::ranges::any_of(methods(),
                             [&](const MethodInfo& info) { return info.replaces_labels && info.name == run.option("method"); });
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
  if (other_labels) perplexity.curves.clear();  // theirs would be read as that of the texts
  if (s.approximate_before && std::isfinite(s.approximate_before->perplexity)) {
    perplexity.level = s.approximate_before->perplexity;
    perplexity.level_title = "goal";
  }
  Plot evaluated{.name = "evaluation-" + run.label,
                 .description = "Perplexity of whole splits over optimizer steps",
                 .x_label = "optimizer step",
                 .y_label = "perplexity",
                 .curves = {}};
  if (run.evaluations)
    for (const auto& [name, values] : run.evaluations->perplexity)
      evaluated.curves.push_back({name, run.evaluations->step, values, Curve::Style::line_points, {}});
  Gallery gallery;
  plotter.add(loss,
              std::string("What each step minimised, and the mean negative log-likelihood of its forget and retain sequences") +
                  (other_labels ? "; of forget that of the labels trained on, not of the texts." : "."),
              gallery);
  plotter.add(perplexity, "Perplexity of each step's own sequences before its update, so it also varies with what they are.",
              gallery);
  plotter.add(evaluated, "Perplexity of whole splits, as evaluated inside the run.", gallery);
  if (gallery.figures.empty()) return;
  blocks.push_back(Heading{3, "Course of the run"});
  blocks.push_back(std::move(gallery));
}

void add_compute(const ReportRun& run, const RunSummary& s, const ReportConfig& config, std::vector<Block>& blocks) {
  if (!s.cost) return;
  blocks.push_back(Heading{3, "Compute"});
  Table table;
  table.rows.push_back({"Training", fmt::format("{:.3g} FLOP = 6 x {} parameters x {} tokens", s.cost->training,
                                                count(run.parameters), count(run.trajectory->tokens))});
  if (s.cost->reference > 0)
    table.rows.push_back(
        {"Frozen original model", fmt::format("about {:.3g} FLOP = 2 x parameters x {} tokens", s.cost->reference,
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

void describe_run(const ReportRun& run, const RunSummary& summary, const ReportConfig& config, Plotter& plotter,
                  std::vector<Block>& blocks) {
  const std::string name = run.folder.filename().string();
  blocks.push_back(Heading{2, fmt::format("{}: {}", run.label, name.empty() ? run.folder.string() : name)});
  blocks.push_back(identity(run));
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
