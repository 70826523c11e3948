#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <numeric>
#include <set>

#include "tests/zoo/tiny_model.h"
#include "zoo/run/checkpoint.h"

using namespace likely;

namespace {

const auto no_warning = [](const std::string& text) { FAIL_CHECK(text); };
const auto any_warning = [](const std::string&) {};

// A checkpoint whose values all follow from its step.
Checkpoint checkpoint_of(std::int64_t step, std::int64_t size = 100) {
  std::vector<float> values(static_cast<std::size_t>(size));
  std::iota(values.begin(), values.end(), static_cast<float>(step));
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.hash = "0123456789abcdef";
  checkpoint.facts = {{"batches", fmt::format("{}", step)}};
  checkpoint.model = {{"weight", Tensor::of({size}, values)}};
  checkpoint.average = checkpoint.model;
  checkpoint.state = {{"count", Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{step})},
                      {"first", Tensor::of({size}, values)}};
  return checkpoint;
}

bool whole(const Checkpoint& checkpoint) {
  const std::vector<float> values = checkpoint.model.at(0).second.to_vector<float>();
  return values.front() == static_cast<float>(checkpoint.step) &&
         values.back() ==
             static_cast<float>(checkpoint.step) + static_cast<float>(values.size()) - 1 &&
         checkpoint.state.at(0).second.item<std::int64_t>() == checkpoint.step &&
         checkpoint.average.size() == 1;
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  return names;
}

void flip_a_byte(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-5, std::ios::end);
  const char byte = static_cast<char>(file.get());
  file.seekp(-5, std::ios::end);
  file.put(static_cast<char>(byte ^ 1));
}

// Fails its k-th call, counted over all kinds, with `reason`; half of the writes before are short.
class FailingFileSystem : public FileSystem {
 public:
  FailingFileSystem(int fail_at, int reason) : fail_at_(fail_at), reason_(reason) {}
  bool failed() const { return calls_ >= fail_at_; }

  int create(const std::string& path) override { return fails() ? -1 : FileSystem::create(path); }
  int append(const std::string& path) override { return fails() ? -1 : FileSystem::append(path); }
  int open_folder(const std::string& path) override {
    return fails() ? -1 : FileSystem::open_folder(path);
  }
  ssize_t write(int file, const void* data, std::size_t bytes) override {
    if (fails())
      return -1;
    return FileSystem::write(file, data, calls_ % 2 && bytes > 1 ? bytes / 2 : bytes);
  }
  int sync(int) override { return fails() ? -1 : 0; }
  int truncate(int file, std::int64_t bytes) override {
    return fails() ? -1 : FileSystem::truncate(file, bytes);
  }
  int close(int file) override {
    const int closed = FileSystem::close(file);
    return fails() ? -1 : closed;
  }
  int make_folder(const std::string& path) override {
    return fails() ? -1 : FileSystem::make_folder(path);
  }
  int rename(const std::string& from, const std::string& to) override {
    return fails() ? -1 : FileSystem::rename(from, to);
  }
  int link(const std::string& target, const std::string& path) override {
    return fails() ? -1 : FileSystem::link(target, path);
  }
  int remove(const std::string& path) override { return fails() ? -1 : FileSystem::remove(path); }
  std::int64_t free_bytes(const std::string& path) override {
    return fails() ? -1 : FileSystem::free_bytes(path);
  }

 private:
  bool fails() {
    errno = reason_;
    return ++calls_ == fail_at_;
  }
  int fail_at_, reason_, calls_ = 0;
};

}  // namespace

TEST_CASE("checkpoint: what was saved is loaded, and two saves keep two") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path());
  CHECK(checkpoints.empty());
  for (const std::int64_t step : {10, 20, 30}) {
    checkpoints.save(checkpoint_of(step), no_warning);
    const Checkpoint loaded = checkpoints.load(no_warning);
    CHECK(loaded.step == step);
    CHECK(whole(loaded));
    CHECK(loaded.facts.at("batches") == fmt::format("{}", step));
  }
  CHECK(names_in(folder.path()) == std::set<std::string>{"last", "previous", "step-20", "step-30"});
  CHECK(names_in(folder / "last") == std::set<std::string>{"model.safetensors", "state.safetensors",
                                                           "average.safetensors", "state.json"});
}

TEST_CASE("checkpoint: a broken last falls back to the one before, and says so") {
  for (const char* file :
       {"model.safetensors", "state.safetensors", "average.safetensors", "state.json"}) {
    const TemporaryFolder folder;
    CheckpointFolder checkpoints(folder.path());
    checkpoints.save(checkpoint_of(10), no_warning);
    checkpoints.save(checkpoint_of(20), no_warning);
    flip_a_byte(folder / "last" + "/" + file);
    std::string warning;
    const Checkpoint loaded = checkpoints.load([&](const std::string& text) { warning = text; });
    CHECK(loaded.step == 10);
    CHECK(whole(loaded));
    CHECK(warning.find(file) != std::string::npos);
    CHECK(warning.find("Falling back to the checkpoint before it.") != std::string::npos);
    checkpoints.save(checkpoint_of(20), no_warning);  // in the broken one's place
    CHECK(checkpoints.load(no_warning).step == 20);
    CHECK(names_in(folder.path()) ==
          std::set<std::string>{"last", "previous", "step-10", "step-20"});
  }
}

TEST_CASE("checkpoint: where none is whole, all problems are named") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path());
  CHECK_THROWS_WITH_AS(checkpoints.load(no_warning),
                       ("checkpoint: there is none in " + folder.path() + ".").c_str(), DataError);
  checkpoints.save(checkpoint_of(10), no_warning);
  std::filesystem::remove(folder / "last/model.safetensors");
  CHECK_THROWS_WITH_AS(checkpoints.load(no_warning),
                       ("checkpoint: none in " + folder.path() + " is whole. read: cannot read " +
                        (folder / "last/model.safetensors: No such file or directory."))
                           .c_str(),
                       DataError);
}

TEST_CASE("checkpoint: whichever call fails is reported, and one stays loadable") {
  for (const int reason : {EIO, ENOSPC, EACCES}) {
    int silent = 0, broken = 0, tried = 0;
    for (int k = 1;; ++k, ++tried) {
      const TemporaryFolder folder;
      HastyFileSystem hasty;
      CheckpointFolder(folder.path(), hasty).save(checkpoint_of(10), no_warning);
      CheckpointFolder(folder.path(), hasty).save(checkpoint_of(20), no_warning);
      FailingFileSystem files(k, reason);
      bool reported = false;
      try {
        CheckpointFolder(folder.path(), files).save(checkpoint_of(30), [&](const std::string&) {
          reported = true;
        });
      } catch (const SaveError&) {
        reported = true;
      }
      silent += files.failed() && !reported;
      const Checkpoint loaded = CheckpointFolder(folder.path()).load(no_warning);
      broken += !whole(loaded) || (loaded.step != 20 && loaded.step != 30);
      // The next attempt finds nothing in its way.
      CheckpointFolder(folder.path(), hasty).save(checkpoint_of(40), no_warning);
      broken += CheckpointFolder(folder.path()).load(no_warning).step != 40;
      if (!files.failed())
        break;
    }
    CHECK(silent == 0);
    CHECK(broken == 0);
    CHECK(tried > 30);
  }
}

TEST_CASE("checkpoint: an interrupted write is taken up again") {
  class Interrupting : public FileSystem {
    ssize_t write(int file, const void* data, std::size_t bytes) override {
      errno = EINTR;
      return ++calls_ % 2 ? -1 : FileSystem::write(file, data, bytes);
    }
    int calls_ = 0;
  } files;
  const TemporaryFolder folder;
  CheckpointFolder(folder.path(), files).save(checkpoint_of(10), no_warning);
  CHECK(whole(CheckpointFolder(folder.path()).load(no_warning)));
}

TEST_CASE("checkpoint: a disk that is too full is noticed before writing") {
  class Full : public FileSystem {
    std::int64_t free_bytes(const std::string&) override { return 1000; }
  } files;
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(CheckpointFolder(folder.path(), files).save(checkpoint_of(1), no_warning),
                       ("save: a checkpoint needs 67544 bytes and 1000 are free in " +
                        folder.path() + ". Make room.")
                           .c_str(),
                       SaveError);
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("checkpoint: kill -9 at any instant of saving leaves a loadable one") {
  const TemporaryFolder folder;
  const auto began = std::chrono::steady_clock::now();
  CheckpointFolder(folder.path()).save(checkpoint_of(1, 50000), no_warning);
  const std::chrono::duration<double, std::micro> one_save =
      std::chrono::steady_clock::now() - began;
  std::int64_t newest = 1;
  int unreadable = 0, lost = 0;
  for (int round = 0; round < 50; ++round) {
    const pid_t child = fork();
    if (child == 0) {  // saves until it is killed
      CheckpointFolder checkpoints(folder.path());
      for (std::int64_t step = newest + 1;; ++step)
        checkpoints.save(checkpoint_of(step, 50000), any_warning);
    }
    usleep(static_cast<useconds_t>(one_save.count() * 0.08 * ((round * 7) % 50)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    try {
      const Checkpoint loaded = CheckpointFolder(folder.path()).load(no_warning);
      unreadable += !whole(loaded);
      lost += loaded.step < newest;
      newest = loaded.step;
    } catch (const Error& error) {
      ++unreadable;
      MESSAGE(error.what());
    }
  }
  CHECK(unreadable == 0);
  CHECK(lost == 0);
  CHECK(newest > 1);
}
