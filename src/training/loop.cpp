// Takes steps, writes metrics, evaluates and saves, until the last step, a condition, a signal or the time limit.
#include "training/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/interrupt.h"
#include "core/process.h"
#include "core/text.h"
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
    reduced_.wait();        // the reduction writes to value_
  } catch (const Error&) {  // this error of the job is being reported already
  }
}

double LateMaximum::exchange(double mine) {
  reduced_.wait();
  const double before = value_;
  value_ = mine;
  runtime_.comm.all_reduce(runtime_.communication, {&value_, 1}, Reduce::max);
  reduced_ = runtime_.communication.record();
  return before;
}

template <Element T>
TrainingLoop<T>::TrainingLoop(const LoopOptions& options, const RunLength& length, TrainedModel<T>& trained,
                              TrainingInputs<T> inputs, InRunEvaluation* in_run, CheckpointInfo& info,
                              const std::filesystem::path& resumed, std::size_t model_bytes, IoThread& io)
    : options_(options),
      length_(length),
      trained_(trained),
      in_run_(in_run),
      info_(info),
      model_bytes_(model_bytes),
      end_(options.deadline, state_bytes(trained.state)),
      end_requests_(trained.params.runtime()),
      trainer_(length, options.trainer, trained.model, trained.optimizer, std::move(inputs)),
      progress_(options.command, length.steps, trained.optimizer.steps, options.log.steps),
      io_(io),
      writer_(trained.params.runtime(), options.run.checkpoints(), options.save.total_limit,
              {options.run.metrics(), options.run.evaluations()}, io),
      first_(trained.optimizer.steps),
      saved_(resumed.empty() || !is_of_run(options.run, resumed) ? -1 : trained.optimizer.steps) {
  if (in_run_)
    if (const std::int64_t nearest = in_run_->nearest(); nearest > 0) prefer(nearest);
  if (trained.params.runtime().comm.rank() == 0)
    log_.emplace(options.run, options.log, trained.optimizer.steps, resumed,
                 Provenance{info.model_sha256, info.tokens_sha256, info.config, info.libraries, info.restarts});
  if ((options.save.steps > 0 && options.save.steps < length.steps) || !options.stop_at.empty()) writer_.reserve(trained.state);
  if (log_ && in_run_)
    in_run_->listen([this](std::int64_t step, const NamedMetrics& metrics) {
      write_rows();
      io_.enqueue([this, step, metrics] { log_->write_evaluation(step, metrics); });
    });
}

template <Element T>
ExitCode TrainingLoop<T>::run() {
  try {
    return take_steps();
  } catch (const Error& error) {
    // All ranks detect a collapse in the same step, so a checkpoint that is being written is a good one.
    if (error.code() != ExitCode::collapse) throw;
    write_rows();
    writer_.finish();
    io_.wait();
    const std::vector<std::filesystem::path> kept = list_checkpoints(options_.run.checkpoints());
    fail(error.code(),
         fmt::format("{}; {}", error.what(),
                     kept.empty() ? "the run has no checkpoint yet (--save-steps makes them)"
                                  : fmt::format("the last checkpoint, {}, is unchanged", kept.front().string())),
         error.where());
  }
}

template <Element T>
ExitCode TrainingLoop<T>::take_steps() {
  const Optimizer<T>& optimizer = trained_.optimizer;
  EndRequest request = evaluate();  // the given model of a fresh run, or an evaluation that an interrupted run missed
  while (!request && optimizer.steps < info_.total_steps) {
    const auto began = Clock::now();
    const auto drop = [&](double seconds_left) {
      request = EndRequest::of(end_requests_.exchange(end_.within_step(seconds_left).number()));
      return request.at_once;
    };
    if (const std::optional<StepMetrics> metrics = trainer_.step(drop)) {
      longest_step_ = std::max(longest_step_, seconds_since(began));
      request = record(*metrics);
    }
    // After an early end, the resumed run makes this evaluation.
    if (!request || optimizer.steps == length_.steps) request = std::max(request, evaluate());
    const bool due = options_.save.steps > 0 && optimizer.steps % options_.save.steps == 0 && saved_ != optimizer.steps;
    if (!request && due && optimizer.steps < info_.total_steps) {
      trainer_.check_update();
      save(true);
    }
  }
  if (saved_ != optimizer.steps) {
    if (!request) trainer_.check_update();
    save(false);
  }
  finish_writing();
  progress_.finish();
  if (!request || (optimizer.steps == info_.total_steps && !request.at_once)) return ExitCode::done;
  log_early_end(request);
  InterruptSignals::received_elsewhere();
  return ExitCode::interrupted;
}

/// Records the step's metrics, writes its line of the log, and advances a checkpoint that is being written. Returns the
/// ranks' request to end the run.
template <Element T>
EndRequest TrainingLoop<T>::record(StepMetrics metrics) {
  io_.rethrow();
  const double to_finish = writer_.idle() ? 0 : end_.checkpoint_seconds();
  const Device device = trained_.params.runtime().device;
  const auto peak =
      device.type == DeviceType::cuda ? static_cast<double>(pool_use(device).peak) : static_cast<double>(peak_resident_bytes());
  std::array<double, 4> largest{peak, static_cast<double>(model_bytes_), end_.between_steps(longest_step_ + to_finish).number(),
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
  return EndRequest::of(largest[2]);
}

/// Evaluates after this step if an evaluation is due; its condition may end the run. Returns the request that cut it short.
template <Element T>
EndRequest TrainingLoop<T>::evaluate() {
  const std::int64_t step = trained_.optimizer.steps;
  if (!in_run_) return {};
  EndRequest request;
  const auto cut_short = [&] {
    request = EndRequest::of(all_reduce(trained_.params.runtime(), end_.within_step(0).number(), Reduce::max));
    return request.at_once;
  };
  switch (in_run_->evaluate(trained_.model, step, step == length_.steps, cut_short)) {
    case InRunEvaluation::Outcome::cut_short:
      return request;
    case InRunEvaluation::Outcome::nearer:
      prefer(step);
      if (saved_ == step) return {};
      trainer_.check_update();
      save(true);
      return {};
    case InRunEvaluation::Outcome::stop:
      log_info(fmt::format("step {}: {} holds; the run ends", step, options_.stop_at));
      return_to(in_run_->nearest());
      return {};
    case InRunEvaluation::Outcome::go_on:
      break;
  }
  return {};
}

template <Element T>
void TrainingLoop<T>::prefer(std::int64_t step) {
  // A state that --save-steps keeps anyway must stay when a nearer state replaces it.
  writer_.prefer(step, options_.save.steps > 0 && writer_.preferred() % options_.save.steps == 0);
}

/// Ends the run with the state of an evaluated step; reads an earlier step's state from its checkpoint.
template <Element T>
void TrainingLoop<T>::return_to(std::int64_t step) {
  const Runtime& runtime = trained_.params.runtime();
  std::int64_t& steps = trained_.optimizer.steps;
  writer_.finish();
  io_.wait();  // HDF5 allows one thread at a time, and the I/O thread may still write rows
  if (step > 0 && step < steps) {
    const std::filesystem::path checkpoint = options_.run.checkpoints() / step_name(step);
    if (const std::string damage = damage_of(runtime, checkpoint); damage.empty()) {
      read_state(CheckpointReader(checkpoint), runtime.comm.rank(), trained_.state, runtime.compute);
      trained_.params.weights_changed();
      log_info(fmt::format("step {} was nearer to the condition than step {}: the run keeps its state", step, steps));
      later_ = steps;
      steps = step;
    } else if (runtime.comm.rank() == 0) {
      log_warning(fmt::format("step {} was nearer to the condition, but its checkpoint cannot be read: {}", step, damage));
    }
  }
  prefer(steps);
  info_.total_steps = steps;
  saved_ = -1;
}

/// Writes the metrics of all steps so far.
template <Element T>
void TrainingLoop<T>::write_rows() {
  if (log_) io_.enqueue([this] { log_->write(); });
}

template <Element T>
void TrainingLoop<T>::save(bool in_background) {
  info_.step = saved_ = trained_.optimizer.steps;
  info_.samples = length_.samples_after(info_.step);
  info_.written = utc_now();
  write_rows();  // before the checkpoint copies the tables
  const auto began = Clock::now();
  writer_.start(info_, trained_.state, in_background);
  waited_ += seconds_since(began);
  ++checkpoints_;
}

/// Waits until everything is on disk.
template <Element T>
void TrainingLoop<T>::finish_writing() {
  const double within = waited_, all = seconds_since(began_);
  const auto began = Clock::now();
  writer_.finish();
  io_.wait();
  // The newest checkpoint is the run's model, so later ones must go.
  if (log_) remove_checkpoints_between(options_.run.checkpoints(), trained_.optimizer.steps, later_);
  if (options_.save.steps > 0 && checkpoints_ > 0)
    log_info(fmt::format("{}; training waited for them {:.2f} s, {:.2f} % of its time, and {:.2f} s for the last",
                         counted(checkpoints_, "checkpoint"), within, 100 * within / all, seconds_since(began)));
  if (!log_ || checkpoints_ == 0) return;
  const std::filesystem::path checkpoint = options_.run.checkpoints() / step_name(saved_);
  log_info(fmt::format("{}: SHA-256 {}", checkpoint.string(), sha256_file(checkpoint / kManifest)));
}

template <Element T>
void TrainingLoop<T>::log_early_end(EndRequest request) const {
  if (trained_.params.runtime().comm.rank() != 0) return;
  const std::int64_t step = trained_.optimizer.steps;
  log_warning(fmt::format("{}: the run ends after step {} of {}, with a checkpoint{}; the same command continues from there",
                          request.text(), step, info_.total_steps, request.at_once ? ", and drops the unfinished step" : ""));
  if (step == first_ && request.reason == EndRequest::kTimeLimit)
    log_warning("no step fitted into --max-walltime since this start: raise it, or the run will never make progress");
}

template class TrainingLoop<float>;
template class TrainingLoop<bf16>;
template class TrainingLoop<double>;

}  // namespace expunge
