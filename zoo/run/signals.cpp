#include "zoo/run/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace likely {
namespace {

constexpr int noted[] = {SIGINT, SIGTERM, SIGHUP};
std::atomic<int> exit_code{0}, interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may touch nothing else");
struct sigaction before[3];

void note(int signal) {
  int none = 0;
  exit_code.compare_exchange_strong(none, signal == SIGINT ? 130 : 143);
  if (signal == SIGINT && interrupts.fetch_add(1) > 0)
    _exit(130);
}

}  // namespace

SignalGuard::SignalGuard() {
  exit_code = interrupts = 0;
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) {
    sigaction(noted[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN)
      sigaction(noted[i], &action, nullptr);
  }
}

SignalGuard::~SignalGuard() {
  for (int i = 0; i < 3; ++i)
    sigaction(noted[i], &before[i], nullptr);
  exit_code = 0;
}

int requested_exit() { return exit_code; }

void stop_where_asked() {
  if (const int code = requested_exit())
    throw Interrupted{code};
}

}  // namespace likely
