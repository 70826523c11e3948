// Standard streams: what is meant for eyes goes to stderr and may never end the work; results go to
// stdout and must arrive. Nobody writes to either in another way (a test reads the sources).
#pragma once
#include <fmt/format.h>

#include <string_view>

namespace likely {

// To whoever looks: a terminal, a pipe or a log. What cannot be written there is dropped.
void write_for_eyes(std::string_view text, int descriptor = 2) noexcept;

// To stdout, at once and whole. SaveError, which says why, where it does not arrive.
void write_result(std::string_view text);

// Help, on stdout: a reader that has seen enough (`--help | head -1`) may go, which is no error.
void write_help(std::string_view text);

// Once all results are written: SaveError where the file system loses them after all, which some
// (NFS) tell only when a file is closed.
void finish_results();

// First of all in main: a descriptor of 0, 1 and 2 that the parent has closed is opened on
// /dev/null for reading only, so that no file of ours becomes "stderr" and results on a closed
// stdout are still an error. A pipe without a reader and a file at its size limit become failed
// writes, where they would end the process: SIGPIPE and SIGXFSZ are ignored.
void open_standard_streams() noexcept;

namespace detail {
void format_for_eyes(fmt::string_view format, fmt::format_args arguments) noexcept;
}  // namespace detail

// What a terminal would obey is written by its bytes, but for newlines, tabs and a first \r.
template <class... Args>
void to_stderr(fmt::format_string<Args...> format, Args&&... arguments) noexcept {
  detail::format_for_eyes(format, fmt::make_format_args(arguments...));
}

template <class... Args>
void to_stdout(fmt::format_string<Args...> format, Args&&... arguments) {
  write_result(fmt::vformat(format, fmt::make_format_args(arguments...)));
}

}  // namespace likely
