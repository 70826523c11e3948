// First contact with a device whose kernels have every fault that proofs must find
// (tests/planted/kernels.cu).
#include "kernels/first_contact.h"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kernels/module.h"
#include "tests/memory.h"

using namespace likely;
using namespace likely::kernels;

#ifdef PLANTED

namespace {

// A cache folder of this test's own, while it lives.
class Cache {
 public:
  Cache()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("likely-proofs-{}", getpid())) {
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  }
  ~Cache() {
    unsetenv("XDG_CACHE_HOME");
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::path record() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "likely" / "proofs"))
      if (entry.path().extension() == ".json")
        return entry.path();
    return {};
  }

 private:
  std::filesystem::path folder_;
};

Contact planted_contact(const std::string& key = "planted") {
  return {"a planted device", key, {{PLANTED, ""}}, std::chrono::milliseconds(1500)};
}

// Proven once for all cases: the hanging kernel takes its time.
const std::vector<Verdict>& planted_verdicts() {
  static const std::vector<Verdict> verdicts = [] {
    const Cache cache;
    return prove_again(planted_contact());
  }();
  return verdicts;
}

const Verdict& verdict_on(const std::string& kernel) {
  const std::vector<Verdict>& all = planted_verdicts();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Verdict& verdict) {
    return verdict.kernel == "planted/" + kernel + "/f32";
  });
  REQUIRE(found != all.end());
  return *found;
}

// What likely-prove prints of the planted module.
std::string printed_by_prove(const std::string& how, const std::string& arguments = "") {
  const std::string program = path_beside_library("likely-prove");
  FILE* const pipe =
      popen(fmt::format("'{}' {} '{}' {} 2>&1", program, how, PLANTED, arguments).c_str(), "r");
  REQUIRE(pipe);
  std::string text;
  for (int c; (c = std::fgetc(pipe)) != EOF;)
    text += static_cast<char>(c);
  return text + fmt::format("status {}", pclose(pipe) / 256);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("first contact: a kernel that is right passes, beside any others") {
  CHECK(planted_verdicts().size() == 9);
  for (const char* name : {"right", "plain"}) {
    CHECK(verdict_on(name).passed());
    CHECK(verdict_on(name).error <= 1e-6);
  }
}

TEST_CASE("first contact: a wrong result is found, with its first wrong index, value and bound") {
  const Verdict& wrong = verdict_on("wrong");
  CHECK(wrong.where == "[1, 1] of result 0");
  CHECK(wrong.value == 7);
  CHECK(std::fabs(wrong.expected) < 7);
  CHECK(wrong.error > wrong.bar);
  CHECK(wrong.bar == 1e-6);
}

TEST_CASE("first contact: what a kernel does not write is NaN, and so found") {
  CHECK(verdict_on("forgetful").where == "[2, 3] of result 0");
  CHECK(std::isnan(verdict_on("forgetful").value));
}

TEST_CASE("first contact: a crash takes one kernel along, and the others are still tried") {
  CHECK(has(verdict_on("crashing").problem, "it crashed"));
}

TEST_CASE("first contact: a kernel that hangs is ended") {
  CHECK(verdict_on("hanging").problem == "it hangs: no word for 1.5 s");
}

TEST_CASE("first contact: other bits in one of three runs are found, however close") {
  const Verdict& racy = verdict_on("racy");
  CHECK(racy.problem == "run 3 gave other bits than run 1");
  CHECK(racy.where == "[1, 2] of result 0");
  CHECK(racy.error <= racy.bar);
}

TEST_CASE("first contact: what is written outside of a result is found, on both sides") {
  CHECK(has(verdict_on("behind").problem,
            "it wrote outside: byte 48 of a block of 48 bytes is 0x00"));
  CHECK(has(verdict_on("before").problem,
            "it wrote outside: byte -8 of a block of 48 bytes is 0x00"));
}

TEST_CASE("first contact: doctor's report names each failure with index, value and bound") {
  const std::string text = report(planted_contact(), planted_verdicts());
  INFO(text);
  CHECK(has(text, "2 of 9 kernels passed on a planted device"));
  CHECK(has(text, "\n  planted/wrong/f32, a row: [1, 1] of result 0 is 7 instead of "));
  CHECK(has(text, ", bound 1e-06"));
  CHECK(
      has(text,
          "\n  planted/racy/f32, a row: run 3 gave other bits than run 1; [1, 2] of result 0 is "));
  for (const char* name : {"forgetful", "crashing", "hanging", "behind", "before"})
    CHECK(has(text, fmt::format("\n  planted/{}/f32, a row: ", name)));
  CHECK(!has(text, "right"));
}

TEST_CASE(
    "first contact: for a checker, cases are launched by family and number, as far as time "
    "allows") {
  CHECK(printed_by_prove("--families") == "planted\nstatus 0");
  CHECK(printed_by_prove("--launch", "planted 7 60") ==
        "planted/right/f32, a row\nplanted/plain/f32, a row\nstatus 0");
  CHECK(printed_by_prove("--launch", "planted 4 0") ==
        "planted/racy/f32, a row\nnext: 5\nstatus 0");
  CHECK(printed_by_prove("--launch", "planted 9 60") ==
        "likely-prove: planted has 9 cases, there is no case 9.\nstatus 1");
}

TEST_CASE("first contact: verdicts come back from the record, digit for digit") {
  const Cache cache;
  const Contact contact = planted_contact();
  CHECK(!recorded_verdicts(contact));
  record_verdicts(contact, planted_verdicts());
  const auto again = recorded_verdicts(contact);
  REQUIRE(again);
  CHECK(report(contact, *again) == report(contact, planted_verdicts()));
  CHECK(again->at(0).error == planted_verdicts()[0].error);
  CHECK(!recorded_verdicts(planted_contact("another driver")));
  std::ofstream(cache.record()) << "{";
  CHECK(!recorded_verdicts(contact));
}

TEST_CASE("first contact: a record that is none of ours, of whatever kind, is no record") {
  const Deadline soon;
  const Cache cache;
  record_verdicts(planted_contact(), planted_verdicts());
  const std::filesystem::path record = cache.record();
  for (const std::string& text :
       {std::string(100'000, '['), std::string("{}"), std::string(1 << 25, ' '),
        std::string(R"({"key":"planted","verdicts":[{"kernel":7}]})"),
        std::string(
            R"({"key":"planted","verdicts":[{"kernel":"k","case":"c","error":"x","bound":1}]})")}) {
    std::ofstream(record) << text;
    CHECK(!recorded_verdicts(planted_contact()));
  }
  std::filesystem::remove(record);
  REQUIRE(mkfifo(record.c_str(), 0600) == 0);
  CHECK(!recorded_verdicts(planted_contact()));
}

TEST_CASE("first contact: equal GPUs share a record, another one has its own") {
  setenv("FAKE_COUNT", "3", 1);
  const Contact first = own_contact(Cuda::gpu, ask_driver(FAKE_DRIVER, 0)),
                equal = own_contact(Cuda::gpu, ask_driver(FAKE_DRIVER, 1)),
                other = own_contact(Cuda::gpu, ask_driver(FAKE_DRIVER, 2));
  unsetenv("FAKE_COUNT");
  CHECK(equal.index == 1);
  CHECK(equal.key == first.key);
  CHECK(other.key != first.key);
}

TEST_CASE(
    "first contact: a device whose plain kernel failed is refused by name when it is opened") {
  const Cache cache;
  std::vector<Verdict> verdicts = planted_verdicts();
  for (Verdict& verdict : verdicts)
    if (verdict.kernel == "planted/plain/f32")
      verdict.problem = "it crashed";
  record_verdicts(planted_contact(), verdicts);
  CHECK_THROWS_WITH_AS(open_proven(planted_contact()),
                       "device: cuda:0, a planted device, is refused: a kernel failed its proof "
                       "that stands in for others: planted/plain/f32, a row: it crashed; error 0, "
                       "bound 1e-06. Take --device cpu; a new driver or build is tried anew, and "
                       "./likely doctor --prove tries again.",
                       UsageError);
  CHECK(!opened_cuda());
}

TEST_CASE("first contact: a device that cannot be opened is refused, and not put on record") {
  const Cache cache;
  Contact contact = planted_contact();
  contact.modules[0].file = "liblikely_nothing.so";
  CHECK_THROWS_WITH_AS(
      verdicts_of(contact),
      "device: cuda cannot be opened: liblikely_nothing.so (it was not there when "
      "likely was built). ./likely builds it where --device cuda is asked for; else "
      "build the target likely_emulated.",
      Error);
  CHECK(!recorded_verdicts(contact));
}

TEST_CASE("first contact: what failed is never chosen, and asked for by name it throws") {
  const Cache cache;
  record_verdicts(planted_contact(), planted_verdicts());
  open_proven(planted_contact());
  void* const module = dlopen(PLANTED, RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(module);
  const auto twice = reinterpret_cast<void (*)(const Tensor&, const char*, Tensor&)>(
      dlsym(module, "likely_planted"));
  const auto launches = [](const std::string& name) -> std::uint64_t {
    for (const Variant* variant : all_variants())
      if (variant->name() == name)
        return variant->launches();
    return 0;
  };
  const Tensor x = Tensor::of<float>({2}, std::vector<float>{1, 2}).to(Device::cuda);
  Tensor y;
  twice(x, "", y);
  CHECK(y.to(Device::cpu).to_vector<float>() == std::vector<float>{2, 4});
  CHECK(launches("planted/right/f32") == 1);  // the first that passed
  for (const Verdict& verdict : planted_verdicts())
    if (!verdict.passed()) {
      CHECK(launches(verdict.kernel) == 0);
      try {
        twice(x, verdict.kernel.c_str(), y);
        FAIL_CHECK("it did not throw");
      } catch (const Unproven& error) {
        INFO(error.what());
        CHECK(has(error.what(), verdict.kernel + ": this kernel failed its proof on this device"));
        CHECK(has(error.what(), describe(verdict)));
      }
    }
}

#endif
