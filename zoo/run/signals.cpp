#include "zoo/run/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace likely {
namespace {

constexpr int noted[] = {SIGINT, SIGTERM, SIGHUP};
std::atomic<int> exit_code{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may touch nothing else");
struct sigaction before[3], pipe_before;

void note(int signal) {
  const int code = signal == SIGINT ? 130 : 143;
  if (exit_code.exchange(code) != 0)
    _exit(code);
}

}  // namespace

SignalGuard::SignalGuard() {
  exit_code = 0;
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i)
    sigaction(noted[i], &action, &before[i]);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, &pipe_before);
}

SignalGuard::~SignalGuard() {
  for (int i = 0; i < 3; ++i)
    sigaction(noted[i], &before[i], nullptr);
  sigaction(SIGPIPE, &pipe_before, nullptr);
  exit_code = 0;
}

int requested_exit() { return exit_code; }

}  // namespace likely
