// Evaluation inside training: figures every so many steps, in evaluations.h5, and the condition that ends the run.
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

/// What is evaluated inside a run, and what ends it: --eval-split and --stop-at. Throws Error(bad_input) for a split that is
/// not there or damaged, Error(usage) for a condition that is none or is on a split that is not evaluated.
struct Monitored {
  Monitored(const std::string& domain, EvaluationOptions evaluation, std::int64_t micro_batch_tokens, const TokenFile& tokens,
            int vocabulary);
  EvaluationOptions options;
  std::int64_t micro_batch_tokens;  ///< of a run; 0: sequences are counted
  std::vector<std::string> names;   ///< "domain/split"
  std::vector<TokenSplit> splits;
  std::optional<StopCondition> condition;  ///< its splits are among `names`
  /// Tokens of the longest sequence, for reserving memory.
  int longest() const;
};

/// Writes evaluations.h5, whose first row is of the model that the run began from: step 0, or `adopted_step` where it went on
/// from another run's state. Rows past `last_step` do not count and are dropped by begin(); a damaged file is replaced by the
/// copy in `checkpoint`. Rows before `adopted_step`, which earlier versions took along, are of no state that this run could
/// return to. Rows are written by the I/O thread.
class Monitor {
 public:
  Monitor(const Runtime& runtime, const std::filesystem::path& path, Monitored monitored, std::int64_t last_step,
          std::int64_t adopted_step, const std::filesystem::path& checkpoint, IoThread& io);
  /// Before the first step: drops the rows that the run repeats, and says in the file how its rows are made.
  void begin(const Provenance& provenance);
  /// What is called on rank 0 with each evaluation that is recorded.
  using Listener = std::function<void(std::int64_t step, const NamedMetrics& metrics)>;
  void listen(Listener listener) { listener_ = std::move(listener); }
  enum class Outcome {
    go_on,
    nearer,    ///< the run's condition does not hold yet, and this is the evaluated state nearest to it so far
    stop,      ///< the run's condition holds
    cut_short  ///< nothing was recorded
  };
  /// Evaluates after `step`, if that is due and not recorded yet, unless `cut_short` says on all ranks to end. The state that
  /// the run began from is always due. Collective.
  template <Element T>
  Outcome evaluate(Llama<T>& model, std::int64_t step, bool last, const std::function<bool()>& cut_short);
  /// The last step whose row is in the file; -1 for none. Collective.
  std::int64_t recorded() const;
  /// The evaluated step, after the first, whose metrics are nearest to the run's condition; -1 without one. Collective.
  std::int64_t nearest() const;
  /// How far the last evaluation was from the run's condition; empty where it held, and without one. On rank 0.
  const std::string& unmet() const { return unmet_; }

 private:
  /// Holds an evaluation against the condition.
  Outcome judge(const EvaluationRow& row);
  void record(const EvaluationRow& row);
  double value(const StopCondition::Operand& operand, const SplitTable& now) const;

  const Runtime& runtime_;
  IoThread& io_;
  Monitored monitored_;
  Listener listener_;
  std::optional<EvaluationTable> table_;  // on rank 0
  SplitTable start_;                      // on rank 0
  std::int64_t adopted_step_;
  std::int64_t recorded_ = -1;                                 // the last step in the file
  std::int64_t nearest_ = -1;                                  // on rank 0
  double distance_ = std::numeric_limits<double>::infinity();  // of the nearest
  std::string unmet_;                                          // on rank 0
};

}  // namespace expunge
