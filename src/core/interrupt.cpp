// Handlers that note the first signal and give the next one its default effect.
#include "expunge/core/interrupt.h"

#include <array>
#include <csignal>

namespace expunge {
namespace {

constexpr std::array kSignals{SIGUSR1, SIGTERM, SIGINT};
volatile std::sig_atomic_t noted = 0;

void restore_defaults() {
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (const int number : kSignals) sigaction(number, &usual, nullptr);
}

void note(int number) {
  noted = number;
  restore_defaults();
}

}  // namespace

InterruptSignals::InterruptSignals() {
  noted = 0;
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;  // a write to disk that is under way goes on
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

InterruptSignals::~InterruptSignals() { restore_defaults(); }

int InterruptSignals::received() { return noted; }

std::string signal_name(int number) {
  switch (number) {
    case SIGUSR1:
      return "SIGUSR1";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    default:
      return "signal " + std::to_string(number);
  }
}

}  // namespace expunge
