// Step, record, evaluate, save; until the last step, a condition, a signal or the time limit.
#include "training/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/interrupt.h"
#include "core/process.h"
#include "io/hash.h"
#include "run/options.h"
#include "run/run_folder.h"
#include "store/checkpoint_files.h"

namespace expunge {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

}  // namespace

LateMaximum::~LateMaximum() {
  try {
    there_.wait();          // it writes to value_
  } catch (const Error&) {  // a broken job ends by the error that is on its way already
  }
}

double LateMaximum::exchange(double mine) {
  there_.wait();
  const double before = value_;
  value_ = mine;
  runtime_.comm.all_reduce(runtime_.communication, {&value_, 1}, Reduce::max);
  there_ = runtime_.communication.record();
  return before;
}

template <Element T>
TrainingLoop<T>::TrainingLoop(const LoopOptions& options, const RunLength& length, TrainedModel<T>& trained,
                              TrainingInputs<T> inputs, Monitor* monitor, CheckpointInfo& info,
                              const std::filesystem::path& resumed, std::size_t model_bytes, IoThread& io)
    : options_(options),
      length_(length),
      trained_(trained),
      monitor_(monitor),
      info_(info),
      model_bytes_(model_bytes),
      end_(options.deadline, state_bytes(trained.state)),
      urgency_(trained.params.runtime()),
      trainer_(length, options.trainer, trained.model, trained.optimizer, std::move(inputs)),
      progress_(options.command, length.steps, trained.optimizer.steps, options.log.steps),
      io_(io),
      writer_(trained.params.runtime(), options.run.checkpoints(), options.save.total_limit,
              {options.run.metrics(), options.run.evaluations()}, io),
      first_(trained.optimizer.steps),
      saved_(resumed.empty() || !is_of_run(options.run, resumed) ? -1 : trained.optimizer.steps) {
  if (monitor_)
    if (const std::int64_t nearest = monitor_->nearest(); nearest > 0) prefer(nearest);
  if (trained.params.runtime().comm.rank() == 0)
    log_.emplace(options.run, options.log, trained.optimizer.steps, resumed,
                 Provenance{info.model_sha256, info.tokens_sha256, info.config, info.libraries, info.restarts});
  if ((options.save.steps > 0 && options.save.steps < length.steps) || !options.stop_at.empty()) writer_.reserve(trained.state);
  if (log_ && monitor_)
    monitor_->listen([this](std::int64_t step, const NamedMetrics& metrics) {
      write_rows();
      io_.enqueue([this, step, metrics] { log_->write_evaluation(step, metrics); });
    });
}

template <Element T>
ExitCode TrainingLoop<T>::run() {
  try {
    return take_steps();
  } catch (const Error& error) {
    // All ranks find a collapse together. A checkpoint that is on its way then is a good one.
    if (error.code() != ExitCode::collapse) throw;
    write_rows();
    writer_.finish();
    io_.wait();
    const std::vector<std::filesystem::path> kept = list_checkpoints(options_.run.checkpoints());
    fail(error.code(),
         fmt::format("{}; {}", error.what(),
                     kept.empty() ? "the run has no checkpoint yet (--save-steps makes them)"
                                  : fmt::format("the last checkpoint, {}, is as it was", kept.front().string())),
         error.where());
  }
}

template <Element T>
ExitCode TrainingLoop<T>::take_steps() {
  const Optimizer<T>& optimizer = trained_.optimizer;
  double urgency = evaluate();  // a fresh run's model as it was given, or what an interrupted run still owes
  while (urgency == 0 && optimizer.steps < info_.total_steps) {
    const auto began = Clock::now();
    const auto drop = [&](double seconds_left) {
      urgency = urgency_.exchange(end_.within_step(seconds_left));
      return EndInTime::at_once(urgency);
    };
    if (const std::optional<StepMetrics> metrics = trainer_.step(drop)) {
      longest_step_ = std::max(longest_step_, seconds_since(began));
      urgency = record(*metrics);
    }
    // An end before its time leaves the evaluation to the resumed run.
    if (urgency == 0 || optimizer.steps == length_.steps) urgency = std::max(urgency, evaluate());
    const bool due = options_.save.steps > 0 && optimizer.steps % options_.save.steps == 0 && saved_ != optimizer.steps;
    if (urgency == 0 && due && optimizer.steps < info_.total_steps) {
      trainer_.check_update();
      save(true);
    }
  }
  if (saved_ != optimizer.steps) {
    if (urgency == 0) trainer_.check_update();
    save(false);
  }
  finish_writing();
  progress_.finish();
  if (urgency == 0 || (optimizer.steps == info_.total_steps && !EndInTime::at_once(urgency))) return ExitCode::done;
  log_early_end(urgency);
  InterruptSignals::received_elsewhere();
  return ExitCode::interrupted;
}

/// The step's row of metrics and its line of the log, and the next phase of a checkpoint that is being written; returns how
/// urgent it is to end.
template <Element T>
double TrainingLoop<T>::record(StepMetrics metrics) {
  io_.rethrow();
  const double to_finish = writer_.idle() ? 0 : end_.checkpoint_seconds();
  const Device device = trained_.params.runtime().device;
  const auto peak =
      device.type == DeviceType::cuda ? static_cast<double>(pool_use(device).peak) : static_cast<double>(peak_resident_bytes());
  std::array<double, 4> largest{peak, static_cast<double>(model_bytes_), end_.between_steps(longest_step_ + to_finish),
                                writer_.busy()};
  all_reduce(trained_.params.runtime(), largest, Reduce::max);
  metrics.memory_bytes = static_cast<std::int64_t>(largest[0]);
  metrics.model_state_bytes = static_cast<std::int64_t>(largest[1]);
  if (log_) {
    log_->add(metrics);
    io_.enqueue([this] { log_->write_in_time(); });
  }
  const auto began = Clock::now();
  if (!writer_.idle()) {
    writer_.advance(largest[3]);
    if (writer_.idle()) end_.checkpoint_took(writer_.seconds());
  }
  waited_ += seconds_since(began);
  progress_.advance(fmt::format("loss {:.4f} | {:.0f} tokens/s | grad norm {:.3g} | lr {:.2e}", metrics.loss,
                                metrics.tokens_per_second, metrics.grad_norm, metrics.learning_rate));
  return largest[2];
}

/// The evaluation after this step, where one is due; its condition may end the run. Returns the urgency that cut it short.
template <Element T>
double TrainingLoop<T>::evaluate() {
  const std::int64_t step = trained_.optimizer.steps;
  if (!monitor_) return 0;
  double urgency = 0;
  const auto cut_short = [&] {
    urgency = all_reduce(trained_.params.runtime(), end_.within_step(0), Reduce::max);
    return EndInTime::at_once(urgency);
  };
  switch (monitor_->evaluate(trained_.model, step, step == length_.steps, cut_short)) {
    case Monitor::Outcome::cut_short:
      return urgency;
    case Monitor::Outcome::nearer:
      prefer(step);
      if (saved_ == step) return 0;
      trainer_.check_update();
      save(true);
      return 0;
    case Monitor::Outcome::stop:
      log_info(fmt::format("step {}: {} holds; the run ends here", step, options_.stop_at));
      return_to(monitor_->nearest());
      return 0;
    case Monitor::Outcome::go_on:
      break;
  }
  return 0;
}

template <Element T>
void TrainingLoop<T>::prefer(std::int64_t step) {
  // What --save-steps would have kept anyway stays when a nearer state takes its place.
  writer_.prefer(step, options_.save.steps > 0 && writer_.preferred() % options_.save.steps == 0);
}

/// Ends the run with the state of an evaluated step; where it is an earlier one, that of its checkpoint.
template <Element T>
void TrainingLoop<T>::return_to(std::int64_t step) {
  const Runtime& runtime = trained_.params.runtime();
  std::int64_t& steps = trained_.optimizer.steps;
  writer_.finish();
  io_.wait();  // rows that are on their way: HDF5 bears one thread
  if (step > 0 && step < steps) {
    const std::filesystem::path checkpoint = options_.run.checkpoints() / step_name(step);
    if (const std::string damage = damage_of(runtime, checkpoint); damage.empty()) {
      read_state(CheckpointReader(checkpoint), runtime.comm.rank(), trained_.state, runtime.compute);
      trained_.params.weights_changed();
      log_info(fmt::format("step {} was nearer to it than step {}: its state is what the run keeps", step, steps));
      later_ = steps;
      steps = step;
    } else if (runtime.comm.rank() == 0) {
      log_warning(fmt::format("step {} was nearer to it, but its checkpoint is lost: {}", step, damage));
    }
  }
  prefer(steps);
  info_.total_steps = steps;
  saved_ = -1;
}

/// The metrics of all steps so far.
template <Element T>
void TrainingLoop<T>::write_rows() {
  if (log_) io_.enqueue([this] { log_->write(); });
}

template <Element T>
void TrainingLoop<T>::save(bool in_background) {
  info_.step = saved_ = trained_.optimizer.steps;
  info_.samples = length_.samples_after(info_.step);
  info_.written = utc_now();
  write_rows();  // which the checkpoint has a copy of
  const auto began = Clock::now();
  writer_.start(info_, trained_.state, in_background);
  waited_ += seconds_since(began);
  ++checkpoints_;
}

/// Waits for what is still on its way to disk.
template <Element T>
void TrainingLoop<T>::finish_writing() {
  const double within = waited_, all = seconds_since(began_);
  const auto began = Clock::now();
  writer_.finish();
  io_.wait();
  // The newest checkpoint is the run's model.
  if (log_) remove_checkpoints_between(options_.run.checkpoints(), trained_.optimizer.steps, later_);
  if (options_.save.steps > 0 && checkpoints_ > 0)
    log_info(fmt::format("{} checkpoints; training waited for them {:.2f} s, {:.2f} % of its time, and {:.2f} s for the last",
                         checkpoints_, within, 100 * within / all, seconds_since(began)));
  if (!log_ || checkpoints_ == 0) return;
  const std::filesystem::path checkpoint = options_.run.checkpoints() / step_name(saved_);
  log_info(fmt::format("{}: SHA-256 {}", checkpoint.string(), sha256_file(checkpoint / kManifest)));
}

template <Element T>
void TrainingLoop<T>::log_early_end(double urgency) const {
  if (trained_.params.runtime().comm.rank() != 0) return;
  const std::int64_t step = trained_.optimizer.steps;
  log_warning(fmt::format("{}: the run ends after step {} of {}, with a checkpoint{}; the same command goes on from there",
                          EndInTime::reason(urgency), step, info_.total_steps,
                          EndInTime::at_once(urgency) ? ", and what it had begun is dropped" : ""));
  if (step == first_ && EndInTime::is_time_limit(urgency))
    log_warning("no step of this start fitted into --max-walltime: give it more, or no start will make progress");
}

template class TrainingLoop<float>;
template class TrainingLoop<bf16>;
template class TrainingLoop<double>;

}  // namespace expunge
