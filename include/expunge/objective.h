// An unlearning method: host arithmetic from per-token signals to a loss and its gradient. Knows no device and no rank.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expunge/token_signal.h"

namespace expunge {

/// A part of the loss: a signal of the sequences of one role.
struct Term {
  Role role;
  Signal signal;
};

class Objective {
 public:
  virtual ~Objective() = default;
  /// At most one a role.
  virtual std::vector<Term> terms() const = 0;
  /// dL/dsignal of each position that counts in a sequence of `positions` of them, where it is known before the forward
  /// pass: logits are then scored and differentiated in one pass, and the loss is the sum of weight times signal.
  virtual std::optional<double> constant_weight(const Term& term, double positions, const Scope& scope) const = 0;
  /// One sequence's part of the loss; `gradient` (n) = dL/dsignal. For terms without a constant weight.
  virtual double evaluate(const Term& term, const SequenceSignals& sequence, const Scope& scope,
                          std::span<double> gradient) const;
  /// Whether SequenceSignals::reference_nll is read: the program makes it in one pass before the first step.
  virtual bool uses_reference_nll() const { return false; }
};

/// An option of a method. The command line, its help page and the run's config are all made from it.
struct MethodOption {
  enum class Values : std::uint8_t { above_zero, at_least_zero, whole, one_of };
  std::string_view key;  ///< "beta"
  Values values;
  double usual;  ///< what the method takes where the option is not given; of one_of the place in `choices`
  std::string_view help;
  std::vector<std::string_view> choices = {};  ///< of one_of
  bool written = false;                        ///< the config names the usual value, too, where the option is not given

  /// How a value is written on a command line.
  std::string text(double value) const;
};

/// A method as a run asks for it.
struct MethodOptions {
  std::string name = {};
  std::map<std::string, double, std::less<>> given = {};  ///< values of its options, by key; the rest have their usual ones
};

/// The options that were given, as they are written on a command line: " --beta 0.2 --retain-loss kl".
std::string given_text(const MethodOptions& options);

/// What a method depends on beside its own options.
struct MethodContext {
  bool released = false;  ///< as the study's released code computes it, not as its paper says
  double max_length = 0;  ///< of the token file; the released KL term divides by it
};

class MethodValues;

/// A row of the registry: a method with its options and the function that makes its objective.
struct Method {
  std::string_view name;
  std::string_view summary;
  bool replaces_labels = false;             ///< forget sequences are trained on other labels than their ids
  bool mixes = false;                       ///< reads forget and retain, in one interleaved list
  std::vector<std::string_view> uses = {};  ///< options of the run that mean something to it, beside those of mixing
  std::vector<MethodOption> options = {};   ///< its own
  std::unique_ptr<Objective> (*make)(const MethodValues&) = nullptr;
};

/// What a method's function reads: the values of its options, given or usual.
class MethodValues : public MethodContext {
 public:
  MethodValues(const Method& method, const MethodOptions& options, const MethodContext& context)
      : MethodContext(context), method_(method), given_(options.given) {}
  /// Throws Error(internal) for a key that the method's row does not have.
  double operator[](std::string_view key) const;
  /// Whether an option that is one of a few names has this one.
  bool is(std::string_view key, std::string_view choice) const;

 private:
  const MethodOption& option(std::string_view key) const;

  const Method& method_;
  const std::map<std::string, double, std::less<>>& given_;
};

/// All methods, the study's first.
const std::vector<Method>& methods();
bool known_method(std::string_view name);
/// Throws Error(usage) that lists the methods for an unknown name.
const Method& find_method(std::string_view name);
/// The objective of a method; throws like find_method().
std::unique_ptr<Objective> make_objective(const MethodOptions& options, const MethodContext& context = {});
/// Plain descent, what `expunge train` minimises: the mean over sequences of a sequence's mean nll.
std::unique_ptr<Objective> make_descent();

/// Where an objective steers a block's output: uniform in the positive orthant, scaled to Signal::control_norm (Li et al. 2024,
/// arXiv 2403.03218). (hidden_size); empty where it steers none.
std::vector<double> control_vector(const Objective& objective, std::uint64_t seed, int hidden_size);

}  // namespace expunge
