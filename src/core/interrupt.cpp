// Signal handlers that record the first signal and restore the default action for the next one.
#include "core/interrupt.h"

#include <fmt/format.h>
#include <semaphore.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>

#include "core/log.h"

namespace expunge {
namespace {

constexpr std::array kSignals{SIGUSR1, SIGTERM, SIGINT, SIGHUP};
constexpr std::int64_t kSameRequest = 1'000'000'000;  // nanoseconds

// Lock-free, so that a handler may use them.
std::atomic<int> noted{0};
std::atomic<std::int64_t> noted_at{0};
sem_t news;  // wakes the receiver: a signal was recorded, or the receiver must stop
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

using Handler = void (*)(int);

Handler handler_of(int number) {
  struct sigaction now {};
  sigaction(number, nullptr, &now);
  return now.sa_handler;
}

/// nohup ignores SIGHUP and a shell ignores SIGINT for background jobs: those signals are not meant for the run.
bool stays_ignored(int number) { return (number == SIGHUP || number == SIGINT) && handler_of(number) == SIG_IGN; }

void restore_defaults(Handler ours) {
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (const int number : kSignals)
    if (handler_of(number) == ours) sigaction(number, &usual, nullptr);
}

void note(int number) {
  if (noted == 0) {
    noted_at = nanoseconds();
    noted = number;
    sem_post(&news);
  } else if (nanoseconds() - noted_at >= kSameRequest) {
    constexpr std::string_view kWords = "expunge: received a second signal: ending at once\n";
    (void)!write(STDERR_FILENO, kWords.data(), kWords.size());
    restore_defaults(note);
    raise(number);
  }
}

}  // namespace

InterruptSignals::InterruptSignals(Unheeded unheeded) : unheeded_(std::move(unheeded)) {
  noted = 0;
  sem_init(&news, 0, 0);
  receiver_ = std::jthread([this](const std::stop_token& stop) { receive(stop); });
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;  // does not interrupt a write to disk
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : kSignals) {
    if (stays_ignored(number)) continue;
    sigaction(number, &action, nullptr);
    sigaddset(&blocked, number);
  }
  pthread_sigmask(SIG_BLOCK, &blocked, &mask_before_);
}

InterruptSignals::~InterruptSignals() {
  receiver_.request_stop();
  sem_post(&news);
  receiver_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  if (noted == 0) restore_defaults(note);
}

/// Runs in the receiver thread, which blocks no signal. Logs the signal at once; the run reads it only after its step.
void InterruptSignals::receive(const std::stop_token& stop) {
  while (sem_wait(&news) != 0) {
  }
  if (stop.stop_requested()) return;
  const std::string signal = signal_name(noted);
  log_info(fmt::format("received {}: the run stops at the next resumable point; another signal ends it at once", signal));
  if (!unheeded_.end) return;
  std::unique_lock lock(mutex_);
  const bool heeded = change_.wait_for(lock, stop, std::chrono::duration<double>(unheeded_.seconds), [&] { return heeded_; });
  if (!heeded && !stop.stop_requested()) unheeded_.end(signal);
}

void InterruptSignals::heed() {
  const std::lock_guard lock(mutex_);
  heeded_ = true;
  change_.notify_all();
}

void InterruptSignals::received_elsewhere() {
  if (noted != 0) return;
  noted_at = nanoseconds();
  noted = SIGTERM;  // without waking the receiver: this process received no signal
}

int InterruptSignals::received() { return noted; }

double InterruptSignals::seconds_since() { return noted == 0 ? 0 : static_cast<double>(nanoseconds() - noted_at) / 1e9; }

std::string signal_name(int number) {
  switch (number) {
    case SIGUSR1:
      return "SIGUSR1";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "signal " + std::to_string(number);
  }
}

}  // namespace expunge
