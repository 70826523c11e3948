#include "tensor/streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include "tensor/error.h"
#include "tensor/shown.h"

namespace likely {
namespace {

enum class Full { waits, gives_up };  // where a descriptor that does not block has no room

// 0, or errno of the write that failed.
int write_all(int descriptor, std::string_view text, Full full) noexcept {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN && full == Full::waits) {
      pollfd room{descriptor, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

std::atomic<bool> wrote{false};

void require_written(int error) {
  require<SaveError>(error == 0,
                     "print: the results cannot be written to stdout: {}. Call again with a stdout "
                     "that takes them.",
                     std::strerror(error));
}

}  // namespace

void write_for_eyes(std::string_view text, int descriptor) noexcept {
  write_all(descriptor, text, Full::gives_up);
}

void write_result(std::string_view text) {
  wrote = true;
  require_written(write_all(STDOUT_FILENO, text, Full::waits));
}

void write_help(std::string_view text) {
  const int error = write_all(STDOUT_FILENO, text, Full::waits);
  require_written(error == EPIPE ? 0 : error);
}

void finish_results() {
  if (!wrote)
    return;
  const int copy = ::dup(STDOUT_FILENO);  // to close one is enough, and leaves stdout open
  require_written(copy < 0 || ::close(copy) != 0 ? errno : 0);
}

void open_standard_streams() noexcept {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
      for (const char* path : {"/dev/null", "/"})  // a bare root may have no devices
        if (::open(path, O_RDONLY) >= 0)           // takes the lowest that is free: this one
          break;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void detail::format_for_eyes(fmt::string_view format, fmt::format_args arguments) noexcept {
  try {
    const std::string text = fmt::vformat(format, arguments);
    const bool redraws = text.starts_with('\r');
    write_for_eyes((redraws ? "\r" : "") + printable_message(text.substr(redraws)));
  } catch (...) {  // no memory for a message
  }
}

}  // namespace likely
