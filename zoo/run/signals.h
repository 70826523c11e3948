// Signals: the first asks the run to stop after its step, the second ends it at once.
#pragma once

namespace likely {

// While alive: SIGINT, SIGTERM and SIGHUP are noted; a second one leaves by _exit without touching
// a file; SIGPIPE is ignored, so that a closed terminal is a failed write and no more.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
};

// 0, or the exit code that the noted signal asks for: 130 for SIGINT, 143 for SIGTERM and SIGHUP.
int requested_exit();

// Thrown where work that leaves nothing behind (an evaluation) is cut short.
struct Interrupted {
  int exit_code;
};

}  // namespace likely
