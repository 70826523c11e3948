// Signals: the first asks the run to stop after its step; a second Ctrl-C ends it at once.
#pragma once

namespace likely {

// While alive: SIGINT, SIGTERM and SIGHUP are noted. Whatever comes after the first waits for the
// save too (a closing terminal sends SIGHUP and its session SIGTERM), but for a second SIGINT,
// which leaves by _exit without touching a file. What the process was started to ignore (nohup, a
// job in the background of a script) it goes on ignoring.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
};

// 0, or the exit code that the first noted signal asks for: 130 for SIGINT, 143 for SIGTERM and
// SIGHUP.
int requested_exit();

// Thrown where work that leaves nothing behind (an evaluation) is cut short.
struct Interrupted {
  int exit_code;
};
void stop_where_asked();  // throws it

}  // namespace likely
