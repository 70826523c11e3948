#include "zoo/run/run_lock.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "tests/zoo/tiny_run.h"
#include "zoo/run/run_start.h"

using namespace likely;

namespace {

// A process that trains a tiny run up to some step and waits there until it is ended.
class Training {
 public:
  Training(const std::string& folder, std::int64_t until) {
    REQUIRE(pipe(ends_) == 0);
    std::fflush(nullptr);
    process_ = fork();
    if (process_ == 0) {
      TinyModel::at_step = [&](std::int64_t step) {
        if (step == until && ::write(ends_[1], "x", 1) == 1)
          pause();
      };
      const Captured messages(2);
      _exit(run(folder, {{"threads", "1"}}));
    }
    char there = 0;
    REQUIRE(read(ends_[0], &there, 1) == 1);
  }
  Training(const Training&) = delete;
  ~Training() {
    end(SIGKILL);
    close(ends_[0]);
    close(ends_[1]);
  }
  pid_t process() const { return process_; }
  void end(int signal) {
    if (process_ > 0) {
      kill(process_, signal);
      waitpid(process_, nullptr, 0);
    }
    process_ = 0;
  }

 private:
  int ends_[2];
  pid_t process_;
};

std::string host() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

// Every file with its content.
std::map<std::string, std::string> all_in(const std::string& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      all[entry.path().string()] = read_file(entry.path().string());
  return all;
}

// A file system that has no locks, as some that are shared between machines.
struct NoLocks : HastyFileSystem {
  explicit NoLocks(int reason = ENOLCK) : reason(reason) {}
  int lock(int) override { return errno = reason, -1; }
  int reason;
};

// Leaves a lock with this content, which names the file's inode unless it names another.
nlohmann::json leave_lock(const std::string& folder, nlohmann::json content) {
  const std::string path = folder + "/likely.lock";
  std::ofstream file(path);
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  if (!content.contains("inode"))
    content["inode"] = status.st_ino;
  file << content.dump();
  return content;
}

nlohmann::json lock_in(const std::string& folder) {
  return nlohmann::json::parse(read_file(folder + "/likely.lock"));
}

}  // namespace

TEST_CASE(
    "run lock: what writes into a run names the process that trains it, and changes nothing") {
  const TemporaryFolder folder;
  const std::string name = folder / "run";
  Training training(name, 9);
  const auto before = all_in(name);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"resume", name},
                                                {"resume", name, "--steps", "60"},
                                                {"train", "--out", name},
                                                {"evaluate", name},
                                                {"report", name}}) {
    CAPTURE(words[0]);
    const Outcome outcome = tiny(words);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.out.empty());
    CHECK(
        outcome.error.starts_with(fmt::format("error: {}: process {} on host {} writes {} now "
                                              "(`likely train`, since ",
                                              words[0], training.process(), host(), name)));
    CHECK(outcome.error.ends_with(" UTC). Wait until it has ended, or stop it.\n"));
    CHECK((all_in(name) == before));
  }
  CHECK(tiny({"sample", name, "--out", folder / "s.png", "--count", "4"}).exit_code == 0);
  CHECK(tiny({"export", name, "--out", folder / "w.safetensors"}).exit_code == 0);
  CHECK((all_in(name) == before));
}

TEST_CASE("run lock: a run goes on as soon as its process has ended, however that was") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "straight") == 0);
  CHECK_FALSE(std::filesystem::exists(folder / "straight/likely.lock"));
  const std::string name = folder / "killed";
  Training training(name, 9);
  const TemporaryFolder copies;
  std::filesystem::copy(
      name, copies / "copy",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  training.end(SIGKILL);
  CHECK(std::filesystem::exists(name + "/likely.lock"));
  for (const std::string& place : {name, copies / "copy"}) {
    const Captured messages(2);
    REQUIRE(run(place) == 0);
    CHECK(messages.text().empty());
    check_same(results(folder / "straight", 40), results(place, 40));
    CHECK_FALSE(std::filesystem::exists(place + "/likely.lock"));
  }
}

TEST_CASE("run lock: two that begin in one new folder are not both let in") {
  const TemporaryFolder folder;
  const Configuration configuration = resolve(tiny_description(), {}, {});
  const RunDirectory here = RunDirectory::planned(folder / "run"),
                     there = RunDirectory::planned(folder / "run");
  RunStart first(here, true, real_file_system()), second(there, true, real_file_system());
  first.write(configuration, Device::cpu);
  const auto before = all_in(folder / "run");
  CHECK(message_of<UsageError>([&] {
          second.write(configuration, Device::cpu);
        }).starts_with(fmt::format("train: process {} on host {} writes ", getpid(), host())));
  CHECK((all_in(folder / "run") == before));
  CHECK(message_of<UsageError>([&] {
          RunDirectory::planned(folder / "run");
        }).starts_with(fmt::format("train: process {} on host {} writes ", getpid(), host())));
}

TEST_CASE("run lock: where the file system has none, the file says who writes") {
  for (const int reason : {ENOLCK, ENOTSUP, ENOSYS}) {
    NoLocks files(reason);
    const TemporaryFolder folder;
    {
      const RunLock lock(folder.path(), "train", files);
      const std::string message =
          message_of<UsageError>([&] { RunLock(folder.path(), "resume", files); });
      CHECK(message.starts_with(fmt::format("resume: process {} on host {} writes {} now", getpid(),
                                            host(), folder.path())));
      CHECK(message_of<UsageError>(
                [&] { RunLock::require_free(folder.path(), "resume", files); }) == message);
    }
    CHECK(std::filesystem::is_empty(folder.path()));
    RunLock(folder.path(), "resume", files);
  }
}

TEST_CASE(
    "run lock: without locks of the system, a dead process does not bar, and one of another "
    "machine does") {
  NoLocks files;
  const TemporaryFolder folder;
  nlohmann::json mine;
  {
    const RunLock lock(folder.path(), "train", files);
    mine = lock_in(folder.path());
    mine.erase("inode");
  }
  const auto taken_after = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json left = mine;
    left[key] = value;
    leave_lock(folder.path(), left);
    return message_of<UsageError>([&] { RunLock(folder.path(), "resume", files); });
  };
  const std::string free = "nothing was thrown";
  CHECK(taken_after("verb", "train") != free);  // it lives
  CHECK(taken_after("start", "1") == free);     // another process of that number
  CHECK(taken_after("process", 4194303) == free);
  CHECK(taken_after("place", nlohmann::json{"another start", "pid:[1]"}) == free);
  CHECK(taken_after("inode", 0) == free);  // the file was copied
  CHECK(taken_after("host", "node7") != free);
  nlohmann::json there = mine;
  there["place"] = {"another start", "pid:[1]"};
  there["host"] = "node\x1b[2J7";
  there = leave_lock(folder.path(), there);
  CHECK(message_of<UsageError>([&] { RunLock(folder.path(), "resume", files); }) ==
        fmt::format("resume: {0}/likely.lock says that process {1} on host node?[2J7 writes {0} "
                    "(since {2}), and this file system cannot tell whether it still does. If it "
                    "has ended, delete {0}/likely.lock and repeat.",
                    folder.path(), getpid(), mine.at("since").get<std::string>()));
  CHECK(lock_in(folder.path()) == there);
}

TEST_CASE("run lock: one that a process of another machine left is taken, and said") {
  const TemporaryFolder folder;
  leave_lock(folder.path(), {{"process", 12}, {"host", "node7"}});
  const Captured messages(2);
  { const RunLock lock(folder.path(), "resume"); }
  CHECK(messages.text() ==
        fmt::format("resume: process 12 on host node7 did not give {} back, and its lock is gone. "
                    "If it still runs there, stop one of the two.\n",
                    folder.path()));
}

TEST_CASE("run lock: a folder of other things is left as it is") {
  const TemporaryFolder folder;
  folder.write("likely.lock", {'m', 'i', 'n', 'e'});
  folder.write("notes", {});
  const auto before = all_in(folder.path());
  CHECK(message_of<UsageError>([&] {
          RunDirectory::planned(folder.path());
        }).starts_with("train: " + folder.path() + " already holds files."));
  CHECK((all_in(folder.path()) == before));
}
