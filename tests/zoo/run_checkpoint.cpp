#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <numeric>
#include <set>

#include "tests/zoo/tiny_model.h"
#include "zoo/run/checkpoint.h"

using namespace likely;

namespace {

const auto no_warning = [](const std::string& text) { FAIL_CHECK(text); };
const auto any_warning = [](const std::string&) {};
// A link may name the one before; nothing may be broken.
const auto no_falling_back = [](const std::string& text) {
  CHECK(text.find("Falling back") == std::string::npos);
};

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

// The steps of all folders that check out, links and names aside.
std::set<std::int64_t> whole_in(const std::string& folder) {
  std::set<std::int64_t> steps;
  for (const std::string& name : names_in(folder)) {
    const std::filesystem::path path = folder + "/" + name;
    if (name[0] == '.' || !std::filesystem::is_directory(symlink_status(path)))
      continue;
    const TemporaryFolder alone;  // so that nothing but this folder counts
    std::filesystem::copy(path, alone / "last", std::filesystem::copy_options::recursive);
    try {
      steps.insert(CheckpointFolder(alone.path()).load(any_warning).step);
    } catch (const DataError&) {
    }
  }
  return steps;
}

// Two checkpoints in a folder, step-10 and step-20, with their links.
void save_two(const std::string& folder) {
  HastyFileSystem hasty;
  CheckpointFolder checkpoints(folder, hasty);
  checkpoints.save(checkpoint_of(10), no_warning);
  checkpoints.save(checkpoint_of(20), no_warning);
}

// As `cp -rL` copies links.
void make_folder_of(const std::string& link) {
  const std::filesystem::path target = std::filesystem::canonical(link);
  std::filesystem::remove(link);
  std::filesystem::copy(target, link, std::filesystem::copy_options::recursive);
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
    CHECK(warning.ends_with(" Falling back to step 10."));
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
  CHECK(message_of<DataError>([&] { checkpoints.load(no_warning); }) ==
        fmt::format("checkpoint: none in {0} is whole: found last (a link to step-10), step-10. "
                    "read: cannot read {0}/step-10/model.safetensors: No such file or directory.",
                    folder.path()));
}

TEST_CASE("checkpoint: whichever call fails is reported, and one stays loadable") {
  for (const int reason : {EIO, ENOSPC, EACCES, EPERM}) {
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
      const Checkpoint loaded = CheckpointFolder(folder.path()).load(no_falling_back);
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
      const Checkpoint loaded = CheckpointFolder(folder.path()).load(no_falling_back);
      unreadable += !whole(loaded);
      lost += loaded.step < newest;
      newest = loaded.step;
    } catch (const Error& error) {
      ++unreadable;
      MESSAGE(std::string(error.what()));
    }
  }
  CHECK(unreadable == 0);
  CHECK(lost == 0);
  CHECK(newest > 1);
}

TEST_CASE("checkpoint: the newest whole folder counts, whatever became of the links") {
  namespace fs = std::filesystem;
  struct Damage {
    const char* name;
    std::function<void(const TemporaryFolder&)> make;
    const char* told;  // of `last`; null where it is right
  };
  const TemporaryFolder elsewhere;
  save_two(elsewhere.path());
  const auto link = [](const TemporaryFolder& folder, const char* name, const std::string& target) {
    fs::remove(folder / name);
    fs::create_symlink(target, folder / name);
  };
  const std::vector<Damage> damages{
      {"no links",
       [](const TemporaryFolder& f) { fs::remove(f / "last"), fs::remove(f / "previous"); },
       "is missing"},
      {"no last", [](const TemporaryFolder& f) { fs::remove(f / "last"); }, "is missing"},
      {"dangling", [&](const TemporaryFolder& f) { link(f, "last", "step-7"); },
       "is a link to step-7"},
      {"older", [&](const TemporaryFolder& f) { link(f, "last", "step-10"); },
       "is a link to step-10"},
      {"elsewhere", [&](const TemporaryFolder& f) { link(f, "last", elsewhere / "step-20"); },
       "is a link to /"},
      {"a loop", [&](const TemporaryFolder& f) { link(f, "last", "last"); }, "is a link to last"},
      {"a file", [&](const TemporaryFolder& f) { fs::remove(f / "last"), f.write("last", {}); },
       "is no link"},
      {"folders",
       [](const TemporaryFolder& f) {
         make_folder_of(f / "last");
         make_folder_of(f / "previous");
       },
       nullptr},
      {"folders alone",
       [](const TemporaryFolder& f) {
         for (const char* name : {"last", "previous"}) {
           const std::string target = fs::read_symlink(f / name);
           fs::remove(f / name);
           fs::rename(f / target, f / name);
         }
       },
       nullptr},
      {"an absolute link", [&](const TemporaryFolder& f) { link(f, "last", f / "step-20"); },
       nullptr}};
  for (const Damage& damage : damages) {
    CAPTURE(damage.name);
    const TemporaryFolder folder;
    save_two(folder.path());
    damage.make(folder);
    HastyFileSystem hasty;
    CheckpointFolder checkpoints(folder.path(), hasty);
    CHECK_FALSE(checkpoints.empty());
    std::string told;
    const Checkpoint loaded = checkpoints.load([&](const std::string& text) { told += text; });
    CHECK(loaded.step == 20);
    CHECK(whole(loaded));
    if (damage.told) {
      CHECK(told.starts_with("checkpoint: " + (folder / "last ") + damage.told));
      CHECK(told.ends_with(" Taking the newest whole one, step 20."));
    } else {
      CHECK(told.empty());
    }
    checkpoints.save(checkpoint_of(30), no_warning);
    CHECK(whole_in(folder.path()) == std::set<std::int64_t>{20, 30});
    CHECK(names_in(folder.path()) ==
          std::set<std::string>{"last", "previous", "step-20", "step-30"});
    CHECK(fs::read_symlink(folder / "last") == "step-30");
    CHECK(fs::read_symlink(folder / "previous") == "step-20");
  }
  CHECK(whole_in(elsewhere.path()) == std::set<std::int64_t>{10, 20});
}

TEST_CASE("checkpoint: nothing old goes before a newer one is proven whole") {
  // Says that it wrote what it was given, and writes something else.
  struct Lying : HastyFileSystem {
    ssize_t write(int file, const void* data, std::size_t bytes) override {
      std::string changed(static_cast<const char*>(data), bytes);
      changed.back() ^= 1;
      return FileSystem::write(file, changed.data(), bytes);
    }
  } lying;
  const TemporaryFolder folder;
  save_two(folder.path());
  CHECK(message_of<SaveError>([&] {
          CheckpointFolder(folder.path(), lying).save(checkpoint_of(30), no_warning);
        }).starts_with("save: what was written reads back as something else: "));
  CHECK(whole_in(folder.path()) == std::set<std::int64_t>{10, 20});

  // In a copy without links, whichever call fails.
  int lost = 0;
  for (int k = 1;; ++k) {
    const TemporaryFolder copy;
    save_two(copy.path());
    make_folder_of(copy / "last");
    make_folder_of(copy / "previous");
    std::filesystem::remove_all(copy / "step-20");
    FailingFileSystem files(k, EIO);
    try {
      CheckpointFolder(copy.path(), files).save(checkpoint_of(30), any_warning);
    } catch (const SaveError&) {
    }
    const std::set<std::int64_t> left = whole_in(copy.path());
    lost += !left.contains(20) || !(left.contains(10) || left.contains(30));
    if (!files.failed())
      break;
  }
  CHECK(lost == 0);
}

TEST_CASE("checkpoint: a broken newer one stays until training has passed it") {
  HastyFileSystem hasty;
  const TemporaryFolder folder;
  save_two(folder.path());
  CheckpointFolder checkpoints(folder.path(), hasty);
  checkpoints.save(checkpoint_of(30), no_warning);
  flip_a_byte(folder / "step-30/model.safetensors");
  CHECK(checkpoints.load(any_warning).step == 20);
  checkpoints.save(checkpoint_of(25), no_warning);
  CHECK(names_in(folder.path()) ==
        std::set<std::string>{"last", "previous", "step-20", "step-25", "step-30"});
  checkpoints.save(checkpoint_of(30), no_warning);
  CHECK(names_in(folder.path()) == std::set<std::string>{"last", "previous", "step-25", "step-30"});
  CHECK(whole_in(folder.path()) == std::set<std::int64_t>{25, 30});
}

TEST_CASE("checkpoint: a folder that is named for another step is none, and names of people stay") {
  HastyFileSystem hasty;
  const TemporaryFolder folder;
  save_two(folder.path());
  const std::set<std::string> own{"best", "step-010", "step-10-good", "step-5.zip"};
  for (const std::string& name : own)
    std::filesystem::copy(folder / "step-10", folder / name);
  std::filesystem::rename(folder / "step-20", folder / "step-40");
  CheckpointFolder checkpoints(folder.path(), hasty);
  std::string told;
  CHECK(checkpoints.load([&](const std::string& text) { told = text; }).step == 10);
  CHECK(told == fmt::format("checkpoint: {}/step-40 is of step 20, and its name says another. "
                            "Falling back to step 10.",
                            folder.path()));
  checkpoints.save(checkpoint_of(50), no_warning);
  std::set<std::string> expected = own;
  expected.insert({"last", "previous", "step-10", "step-50"});
  CHECK(names_in(folder.path()) == expected);
}

TEST_CASE("checkpoint: where links cannot be made, saving goes on and says so once") {
  struct NoLinks : HastyFileSystem {
    explicit NoLinks(int reason) : reason(reason) {}
    int link(const std::string&, const std::string&) override { return errno = reason, -1; }
    int sync(int) override { return 0; }
    int reason;
  };
  for (const int reason : {EPERM, ENOTSUP, EOPNOTSUPP, ENOSYS}) {
    NoLinks files(reason);
    const TemporaryFolder folder;
    CheckpointFolder checkpoints(folder.path(), files);
    std::vector<std::string> told;
    for (const std::int64_t step : {10, 20, 30})
      checkpoints.save(checkpoint_of(step), [&](const std::string& text) { told.push_back(text); });
    REQUIRE(told.size() == 1);
    CHECK(told[0] == fmt::format("{} cannot hold links ({}). Training goes on without `last` and "
                                 "`previous`: the newest whole step-N counts.",
                                 folder.path(), std::strerror(reason)));
    CHECK(names_in(folder.path()) == std::set<std::string>{"step-20", "step-30"});
    CHECK(checkpoints.load(any_warning).step == 30);
  }
}

TEST_CASE("checkpoint: a file system that cannot sync folders still takes checkpoints") {
  struct NoFolderSync : FileSystem {
    int open_folder(const std::string& path) override {
      return folder = FileSystem::open_folder(path);
    }
    int sync(int file) override { return file == folder ? (errno = EINVAL, -1) : 0; }
    int folder = -1;
  } files;
  const TemporaryFolder folder;
  CheckpointFolder(folder.path(), files).save(checkpoint_of(10), no_warning);
  CHECK(CheckpointFolder(folder.path()).load(no_warning).step == 10);
}

TEST_CASE("checkpoint: what could have been one is told from none at all") {
  const TemporaryFolder folder;
  const CheckpointFolder checkpoints(folder.path());
  folder.write(".step-10.partial/state.json", {});
  folder.write("notes.txt", {});
  CHECK(checkpoints.empty());
  CHECK(checkpoints.cut_short() == ".step-10.partial");
  std::filesystem::create_symlink("step-10", folder / "last");
  CHECK_FALSE(checkpoints.empty());
  CHECK(message_of<DataError>([&] { checkpoints.load(no_warning); }) ==
        fmt::format("checkpoint: none in {} is whole: found last (a link to step-10).",
                    folder.path()));
}

TEST_CASE("checkpoint: one is read while another process saves newer ones") {
  const TemporaryFolder folder;
  HastyFileSystem hasty;
  CheckpointFolder(folder.path(), hasty).save(checkpoint_of(1, 5000), no_warning);
  const pid_t child = fork();
  if (child == 0) {  // saves until it is killed
    CheckpointFolder checkpoints(folder.path(), hasty);
    for (std::int64_t step = 2;; ++step)
      checkpoints.save(checkpoint_of(step, 5000), any_warning);
  }
  int failed = 0;
  std::int64_t step = 0;
  for (int round = 0; round < 300; ++round) {
    try {
      const Checkpoint loaded = CheckpointFolder(folder.path()).load(no_falling_back);
      failed += !whole(loaded) || loaded.step < step;
      step = loaded.step;
    } catch (const Error& error) {
      ++failed;
      MESSAGE(std::string(error.what()));
    }
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(failed == 0);
  CHECK(step > 1);
}
