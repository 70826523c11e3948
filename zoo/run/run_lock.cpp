#include "zoo/run/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tensor/json.h"
#include "tensor/streams.h"

namespace likely {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

// In clock ticks since the machine began: tells two processes of one number apart. Empty where
// there is no such process, or no /proc.
std::string start_of(std::int64_t process) {
  const std::string line = first_line(fmt::format("/proc/{}/stat", process));
  std::size_t place = line.rfind(')');  // the name before it may hold anything
  for (int field = 2; field < 22 && place != std::string::npos; ++field)
    place = line.find(' ', place + 1);
  if (place == std::string::npos)
    return "";
  return line.substr(place + 1, line.find(' ', place + 1) - place - 1);
}

// Fit for a terminal, and for JSON.
std::string printable(std::string text) {
  for (char& c : text)
    if (c < ' ' || c > '~')
      c = '?';
  return text.substr(0, 64);
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return printable(name);
}

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&seconds));
  return text;
}

std::uint64_t inode_of(int file) {
  struct stat status {};
  return fstat(file, &status) == 0 ? status.st_ino : 0;
}

bool is_still(int file, const std::string& path) {
  struct stat opened {
  }, named{};
  return fstat(file, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

// Where process numbers mean the same: one start of one machine, and one container of it.
Json place_of_processes() {
  std::error_code error;
  return {first_line("/proc/sys/kernel/random/boot_id"),
          fs::read_symlink("/proc/self/ns/pid", error).string()};
}

Json this_process(const std::string& verb, int file) {
  return {{"process", getpid()},    {"host", host_name()},         {"verb", verb},
          {"since", now()},         {"start", start_of(getpid())}, {"place", place_of_processes()},
          {"inode", inode_of(file)}};
}

// The object in a lock file; null where there is none that can be read.
Json content_of(int file) {
  char bytes[4096];
  const ssize_t count = pread(file, bytes, sizeof bytes, 0);
  try {
    Json content = parse_json({bytes, count > 0 ? static_cast<std::size_t>(count) : 0}, "lock");
    return content.is_object() ? content : Json();
  } catch (const DataError&) {
    return {};
  }
}

// Waits a moment for one that has just taken the lock to write who it is.
Json holder_in(int file) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (Json content = content_of(file); !content.is_null())
      return content;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return {};
}

bool write_content(int file, const Json& content) {
  const std::string text = content.dump() + "\n";
  return ftruncate(file, 0) == 0 &&
         pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::string shown(const Json& content, const char* key) {
  const auto value = content.find(key);
  if (value == content.end())
    return "?";
  return printable(value->is_string() ? value->get<std::string>() : value->dump());
}

[[noreturn]] void refuse(const std::string& run, const std::string& verb, const Json& holder) {
  require<UsageError>(!holder.is_null(),
                      "{}: another process writes {} now; who it is cannot be read from {}/{}. "
                      "Wait until it has ended, or stop it.",
                      verb, run, run, RunLock::file_name);
  const bool here = shown(holder, "host") == host_name();
  fail<UsageError>(
      "{}: process {} on host {} writes {} now (`likely {}`, since {}). Wait until it has "
      "ended, or stop it{}.",
      verb, shown(holder, "process"), shown(holder, "host"), run, shown(holder, "verb"),
      shown(holder, "since"), here ? "" : " there");
}

bool is_copied(const Json& holder, int file) {
  return holder.value("inode", Json()) != inode_of(file);
}

// Whether who wrote this may still be at work, as far as can be told from its content.
enum class Life { alive, gone, unknown };
Life life_of(const Json& holder, int file) {
  if (holder.is_null())
    return Life::unknown;
  if (is_copied(holder, file))
    return Life::gone;
  const Json here = place_of_processes();
  const Json there = holder.value("place", Json());
  if (holder.value("host", Json()) == host_name() && there.is_array() && there != here &&
      there.size() == 2 && there[0] != here[0])
    return Life::gone;  // before this machine began anew
  if (there != here || !holder.value("process", Json()).is_number_integer())
    return Life::unknown;
  const auto process = holder["process"].get<std::int64_t>();
  const std::string start = start_of(process);
  return !start.empty() && holder.value("start", Json()) == start ? Life::alive : Life::gone;
}

// Without locks of the system. Two that take over what a dead one left may meet: each looks again
// a moment after it has written.
void take_by_content(int file, bool made, const std::string& run, const std::string& verb) {
  if (!made) {
    const Json holder = holder_in(file);
    const Life life = life_of(holder, file);
    if (life == Life::alive)
      refuse(run, verb, holder);
    require<UsageError>(
        life == Life::gone,
        "{0}: {1}/{2} says that process {3} on host {4} writes {1} (since {5}), and this file "
        "system cannot tell whether it still does. If it has ended, delete {1}/{2} and repeat.",
        verb, run, RunLock::file_name, shown(holder, "process"), shown(holder, "host"),
        shown(holder, "since"));
  }
  const Json mine = this_process(verb, file);
  if (!write_content(file, mine))
    fail_to_save(fmt::format("write {}/{}", run, RunLock::file_name));
  if (made)
    return;
  std::this_thread::sleep_for(milliseconds(100));
  if (const Json found = holder_in(file); found != mine)
    refuse(run, verb, found);
}

// With a lock of the system, which holds whatever the content says.
void take_locked(int file, const std::string& run, const std::string& verb) {
  const Json left = content_of(file);
  if (!left.is_null() && !is_copied(left, file) && left.value("host", Json()) != host_name())
    to_stderr(
        "{}: process {} on host {} did not give {} back, and its lock is gone. If it still "
        "runs there, stop one of the two.\n",
        verb, shown(left, "process"), shown(left, "host"), run);
  write_content(file, this_process(verb, file));  // for others to read; the lock holds without
}

bool knows_no_locks(int reason) {
  return reason == ENOLCK || reason == ENOTSUP || reason == EOPNOTSUPP || reason == ENOSYS ||
         reason == EINVAL;
}

}  // namespace

RunLock::RunLock(const std::string& run, const std::string& verb, FileSystem& files)
    : files_(files), path_(run + "/" + file_name) {
  while (file_ < 0) {
    bool made = true;
    int file = files_.open_lock(path_, O_CREAT | O_EXCL);
    if (file < 0 && errno == EEXIST) {
      made = false;
      file = files_.open_lock(path_, 0);
      if (file < 0 && errno == ENOENT)
        continue;  // given back in between
    }
    if (file < 0)
      fail_to_save("open " + path_);
    try {
      if (files_.lock(file) == 0) {
        if (!is_still(file, path_)) {  // given back in between
          files_.close(file);
          continue;
        }
        take_locked(file, run, verb);
      } else if (knows_no_locks(errno)) {
        take_by_content(file, made, run, verb);
      } else if (errno == EWOULDBLOCK) {
        refuse(run, verb, holder_in(file));
      } else {
        fail_to_save("lock " + path_);
      }
    } catch (...) {
      files_.close(file);
      throw;
    }
    file_ = file;
  }
}

RunLock::~RunLock() {
  if (is_still(file_, path_))
    files_.remove(path_);
  files_.close(file_);
}

void RunLock::require_free(const std::string& run, const std::string& verb, FileSystem& files) {
  const int file = files.open_lock(run + "/" + file_name, 0);
  if (file < 0)
    return;
  Json holder;
  bool held = false;
  if (files.lock(file) != 0) {
    held = errno == EWOULDBLOCK;
    holder = held || knows_no_locks(errno) ? holder_in(file) : Json();
    held = held || (!holder.is_null() && life_of(holder, file) == Life::alive);
  }
  files.close(file);
  if (held)
    refuse(run, verb, holder);
}

}  // namespace likely
