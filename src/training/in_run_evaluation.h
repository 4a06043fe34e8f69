// Evaluation during training: metrics every --eval-steps steps, in evaluations.h5, and the condition that ends the run.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "eval/condition.h"
#include "inference/scorer.h"
#include "run/options.h"
#include "run/provenance.h"
#include "run/results/evaluations.h"
#include "store/io_thread.h"

namespace expunge {

/// The evaluations of a run and its stop condition: --eval-split and --stop-at. Throws Error(bad_input) for a split that is
/// missing or damaged, Error(usage) if the condition cannot be parsed or names a split that is not evaluated.
struct EvaluationSpec {
  EvaluationSpec(const std::string& domain, EvaluationOptions evaluation, std::int64_t micro_batch_tokens,
                 const TokenFile& tokens, int vocabulary);
  EvaluationOptions options;
  std::int64_t micro_batch_tokens;  ///< of the run; 0: micro-batches are limited by sequences
  std::vector<std::string> names;   ///< "domain/split"
  std::vector<TokenSplit> splits;
  std::optional<StopCondition> condition;  ///< uses only splits in `names`
  /// Tokens of the longest sequence, to reserve memory.
  int longest() const;
};

/// Evaluates and writes evaluations.h5. The first row is of the model that the run began from: step 0, or `adopted_step` if it
/// continued from another run's state. begin() drops rows past `last_step`; the copy in `checkpoint` replaces a damaged file.
/// Earlier versions copied rows before `adopted_step`; this run cannot return to those states. The I/O thread writes rows.
class InRunEvaluation {
 public:
  /// Keeps a reference to `spec`.
  InRunEvaluation(const Runtime& runtime, const std::filesystem::path& path, const EvaluationSpec& spec, std::int64_t last_step,
                  std::int64_t adopted_step, const std::filesystem::path& checkpoint, IoThread& io);
  /// Call before the first step: drops the rows that the run repeats, and writes the provenance.
  void begin(const Provenance& provenance);
  /// Called on rank 0 with each recorded evaluation.
  using Listener = std::function<void(std::int64_t step, const NamedMetrics& metrics)>;
  void listen(Listener listener) { listener_ = std::move(listener); }
  enum class Outcome {
    go_on,
    nearer,    ///< the condition does not hold yet, but this evaluated state is the nearest so far
    stop,      ///< the condition holds
    cut_short  ///< nothing is recorded
  };
  /// Evaluates after `step` if that is due and not recorded yet. Ends without a record once `cut_short` is true on all ranks.
  /// The state that the run began from is always due. Collective.
  template <Element T>
  Outcome evaluate(Llama<T>& model, std::int64_t step, bool last, const std::function<bool()>& cut_short);
  /// The last step with a row in the file; -1 for none. Collective.
  std::int64_t recorded() const;
  /// The evaluated step after the first whose metrics are nearest to the condition; -1 for none. Collective.
  std::int64_t nearest() const;
  /// Distance of the last evaluation from the condition, as text; empty if the condition holds or there is none. On rank 0.
  const std::string& unmet() const { return unmet_; }

 private:
  /// Compares an evaluation with the condition.
  Outcome judge(const EvaluationRow& row);
  void record(const EvaluationRow& row);
  double value(const StopCondition::Operand& operand, const SplitTable& now) const;

  const Runtime& runtime_;
  IoThread& io_;
  const EvaluationSpec& spec_;
  Listener listener_;
  std::optional<EvaluationTable> table_;  // on rank 0
  SplitTable start_;                      // on rank 0
  std::int64_t adopted_step_;
  std::int64_t recorded_ = -1;                                 // the last step in the file
  std::int64_t nearest_ = -1;                                  // on rank 0
  double distance_ = std::numeric_limits<double>::infinity();  // of the nearest evaluation
  std::string unmet_;                                          // on rank 0
};

}  // namespace expunge
