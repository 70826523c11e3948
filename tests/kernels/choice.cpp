// Own, vendor or fastest: what is chosen, remembered and refused.
#include "kernels/choice.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>

#include "kernels/alignment.h"
#include "kernels/attention_fastest.h"
#include "kernels/matmul.h"
#include "kernels/matmul_fastest.h"
#include "kernels/softmax_fastest.h"
#include "kernels/vendor/proofs.h"
#include "tests/kernels/matmul_problems.h"
#include "tests/kernels/tools.h"
#include "tests/kernels/vendor.h"

using namespace likely;
using namespace likely::kernels;

namespace {

bool vendor_missing() { return !vendor_libraries(Device::cpu).at(0).problem.empty(); }

// The kernel that serves a product of this many rows.
std::string served_by(std::int64_t rows, DType dtype = DType::f32) {
  const Tensor a = rough({rows, 30}, dtype), b = rough({30, 40}, dtype, 2);
  const LaunchLog log;
  matmul(a, b);
  return log.launches().at(0).kernel;
}

// Fast and wrong.
MatmulBackend wrong_vendor() {
  MatmulBackend backend = *matmul_family().find(Device{}, Source::own);
  backend.fill = [](const MatmulProblem& problem, void*) {
    std::fill_n(static_cast<float*>(problem.c), problem.n, 1.0f);
  };
  return backend;
}

}  // namespace

TEST_CASE("choice: own unless asked, for every family or for one") {
  const OwnAgain after;
  CHECK(chosen_kernels() == "own");
  CHECK(choice_for("matmul") == Choice::own);
  choose_kernels("fastest,pointwise=own");
  CHECK(choice_for("matmul") == Choice::fastest);
  CHECK(choice_for("pointwise") == Choice::own);
  CHECK(chosen_kernels() == "fastest,pointwise=own");
  choose_kernels("matmul=fastest");
  CHECK(choice_for("matmul") == Choice::fastest);
  CHECK(choice_for("reduce") == Choice::own);
}

TEST_CASE("choice: messages, and a refused choice changes nothing") {
  CHECK(message([] { choose_kernels("vendr"); }) ==
        "--kernels: there is no choice \"vendr\". Did you mean vendor? There are own, vendor, "
        "fastest, fastest-vendor.");
  CHECK(message([] {
          choose_kernels("own,matmul=");
        }).starts_with("--kernels: there is no choice \"\". Did you mean own?"));
  CHECK(
      message([] {
        choose_kernels("matmull=own");
      }).starts_with("--kernels: there is no family \"matmull\". Did you mean matmul? There are "));
  CHECK(message([] { choose_kernels(""); }).starts_with("--kernels: there is no choice \"\"."));
  CHECK(chosen_kernels() == "own");
  CHECK(
      message([] { restore_choices("matmul 1x2: own\nnonsense\n"); }) ==
      "remembered kernels: a line is no choice: \"nonsense\". Delete the record; fastest measures "
      "again.");
  CHECK(message([] {
          restore_choices("matmul 1x2: vendor two\n");
        }).starts_with("remembered kernels: a line is no choice: \"matmul 1x2: vendor two\"."));
  for (const char* plan : {"-1", "8", "2000000000", "99999999999"})
    CHECK(message([&] {
            restore_choices(fmt::format("matmul 1x2: vendor {}\n", plan));
          }).starts_with("remembered kernels: a line is no choice: "));
  CHECK(message([] { restore_choices("\x1b[2J" + std::string(1'000'000, 'x')); }).size() < 200);
}

TEST_CASE("choice: a vendor library that is missing is named, with what installs it") {
  if (!vendor_missing())
    return;
  const VendorLibrary library = vendor_libraries(Device::cpu)[0];
  CHECK(message([] { choose_kernels("matmul=vendor"); }) ==
        "--kernels: matmul through oneDNN 2 (libdnnl.so.2) is not available: " + library.problem +
            ". Run apt install libdnnl-dev, then build again, or leave matmul to own.");
  choose_kernels("fastest");
  const OwnAgain after;
  CHECK(served_by(25) == "matmul own");
}

TEST_CASE(
    "choice: each device has its own vendor libraries; what is missing on one is no matter on "
    "another" *
    cpu_only) {
  const OwnAgain after;
  for (const VendorLibrary& library : vendor_libraries(Device::cuda)) {
    const std::string choice = library.family + "=vendor";
    const std::string said = message([&] { choose_kernels(choice, Device::cuda); });
    CHECK(
        said ==
        (library.problem.empty()
             ? "no error"
             : fmt::format("--kernels: {} through {} is not available: {}. {}, or leave {} to own.",
                           library.family, library.library, library.problem, library.install,
                           library.family)));
    if (!gpu_kernels_built())
      CHECK(library.problem == "it was not there when likely was built");
    if (!vendor_missing())
      CHECK(message([&] { choose_kernels(choice); }) == "no error");
  }
}

TEST_CASE("choice: the vendor's products agree with ours, epilogue, add, batch and type" *
          cpu_only) {
  if (vendor_missing())
    return;
  const OwnAgain after;
  const auto both = [](auto product) {
    choose_kernels("own");
    const std::vector<double> own = to_doubles(product());
    choose_kernels("matmul=vendor");
    const LaunchLog log;
    const Tensor result = product();
    CHECK(std::string(log.launches().back().kernel) == "matmul oneDNN");
    const std::vector<double> vendor = to_doubles(result);
    double worst = 0;
    for (std::size_t i = 0; i < own.size(); ++i)
      worst = std::max(worst, std::fabs(own[i] - vendor[i]) / (1 + std::fabs(own[i])));
    return worst;
  };
  const Tensor a = rough({20, 30}), b = rough({40, 30}, DType::f32, 2).transpose();
  const Tensor bias = rough({40}, DType::f32, 3), start = rough({20, 40}, DType::f32, 4);
  for (const Activation activation : {Activation::none, Activation::relu, Activation::leaky_relu,
                                      Activation::tanh, Activation::sigmoid, Activation::silu})
    CHECK(both([&] { return matmul(a, b, {bias, activation}); }) < 1e-5);
  CHECK(both([&] { return matmul(a, b, {}, {concatenate({start}, 0), true}); }) < 1e-5);
  const Tensor batched = rough({3, 20, 30}), other = rough({3, 30, 5}, DType::f32, 5);
  const Tensor shared = rough({20, 7});
  CHECK(both([&] { return matmul(batched, other); }) < 1e-5);
  CHECK(both([&] { return matmul(batched.transpose(), batched); }) < 1e-5);
  CHECK(both([&] { return matmul(batched.transpose(), shared); }) < 1e-5);
}

TEST_CASE("choice: what a vendor has nothing for is served by own") {
  if (vendor_missing())
    return;
  const OwnAgain after;
  choose_kernels("vendor");
  CHECK(served_by(26, DType::f64) == "matmul own");
  CHECK(to_doubles(matmul(Tensor::empty({2, 0}), Tensor::empty({0, 2}))) ==
        std::vector<double>(4, 0.0));
}

TEST_CASE("choice: fastest measures once for a problem and remembers" * cpu_only) {
  const OwnAgain after;
  choose_kernels("matmul=fastest");
  const std::string before = remembered_choices();
  const std::string first = served_by(27);
  if (!vendor_missing()) {
    CHECK(remembered_choices().size() > before.size());
    CHECK(remembered_choices().find("matmul f32 1x27x40x30 rows rows") != std::string::npos);
  }
  for (int i = 0; i < 5; ++i)
    CHECK(served_by(27) == first);

  std::string text = remembered_choices();  // a record that says the opposite is believed
  if (const std::size_t line = text.find("1x27x40x30"); line != std::string::npos) {
    const std::size_t colon = text.find(": ", line);
    const bool own = first == "matmul own";
    text.replace(colon + 2, own ? 3 : 6, own ? "vendor" : "own");
    restore_choices(text);
    CHECK(served_by(27) != first);
    CHECK(remembered_choices() == text);
  }
}

TEST_CASE("choice: what was measured with another version of the library is measured again" *
          cpu_only) {
  if (vendor_missing()) {
    MESSAGE("skipped: there is no vendor library");
    return;
  }
  const OwnAgain after;
  choose_kernels("matmul=fastest");
  const std::string version = vendor_version("matmul", Device::cpu);
  CHECK(version.starts_with("oneDNN 2 (libdnnl.so.2) 2"));
  const auto record = [&](int rows, const std::string& by, const char* choice) {
    return fmt::format("matmul f32 1x{}x40x30 rows rows activation 0 threads {}, {}: {}\n", rows,
                       threads(), by, choice);
  };
  restore_choices(record(33, version, "own") + record(34, version, "vendor"));
  CHECK(served_by(33) == "matmul own");
  CHECK(served_by(34) == "matmul oneDNN");
  const std::string other = "oneDNN 2 (libdnnl.so.2) 20501";
  restore_choices(record(35, other, "own") + record(36, other, "vendor"));
  const std::string before = remembered_choices();
  for (const int rows : {35, 36}) {
    const std::string choice = served_by(rows) == "matmul own" ? "own 0" : "vendor 0";
    const std::string measured = record(rows, version, choice.c_str());
    CHECK(before.find(measured) == std::string::npos);
    CHECK(remembered_choices().find(measured) != std::string::npos);
  }
}

TEST_CASE("choice: fastest never takes a kernel whose results disagree, however fast" * cpu_only) {
  const Tensor a = rough({31, 200}), b = rough({200, 30}, DType::f32, 2);
  const Tensor c = full({31, 30}, 5);
  const MatmulBackend& own = *matmul_family().find(Device{}, Source::own);
  CHECK(fastest_matmul(problem_of(a, b, c), own, wrong_vendor()) == Winner{Source::own, -1});
  CHECK(to_doubles(c) == std::vector<double>(31 * 30, 5.0));  // measured elsewhere
  MatmulProblem meta = problem_of(a, b, c);
  meta.m = 30;
  meta.c = nullptr;
  CHECK(fastest_matmul(meta, own, wrong_vendor()) == Winner{Source::own, 0});
}

// Four plans: one is right and slow, one wrong, one fails, and the last is own's kernel.
MatmulBackend vendor_of_plans() {
  MatmulBackend backend = *matmul_family().find(Device{}, Source::own);
  backend.serves = [](const MatmulProblem& problem) { return problem.plan < 4; };
  backend.fill = [](const MatmulProblem& problem, void* workspace) {
    require(problem.plan != 2, "this plan fails.");
    if (problem.plan == 1)
      return wrong_vendor().fill(problem, workspace);
    if (problem.plan == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    matmul_family().find(Device{}, Source::own)->fill(problem, workspace);
  };
  return backend;
}

TEST_CASE("choice: of a vendor's plans the fastest that gives own's result is found, and kept" *
          cpu_only) {
  const Tensor a = rough({37, 200}), b = rough({200, 30}, DType::f32, 2), c = full({37, 30}, 5);
  const MatmulProblem problem = problem_of(a, b, c);
  const MatmulBackend& own = *matmul_family().find(Device{}, Source::own);
  MatmulBackend vendor = vendor_of_plans();
  // On one thread: two wait for each other, for long where the machine is busy.
  const auto winner = [&] {
    return on_threads(1, [&] { return fastest_matmul(problem, own, vendor); });
  };
  const Winner found = winner();
  CHECK(found.plan == 3);
  const std::string text = remembered_choices();
  const std::size_t line = text.find("matmul f32 1x37x30x200 rows rows activation 0 threads 1, ");
  REQUIRE(line != std::string::npos);
  const std::size_t colon = text.find(": ", line);
  const std::string choice = text.substr(colon + 2, text.find('\n', colon) - colon - 2);
  CHECK(choice == (found.source == Source::own ? "own 3" : "vendor 3"));
  vendor.fill = [](const MatmulProblem&, void*) { fail("measured again."); };
  CHECK(winner() == found);
  restore_choices(text.substr(line, colon - line) + ": vendor 2\n");
  CHECK(winner() == Winner{Source::vendor, 2});
}

TEST_CASE("choice: what is measured names how operands lie, where that decides too" * cpu_only) {
  const MatmulBackend& own = *matmul_family().find(Device{}, Source::own);
  const auto key_of = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
    const std::string before = remembered_choices();
    fastest_matmul(problem_of(a, b, c), own, wrong_vendor());
    const std::string after = remembered_choices();
    const auto [at, end] = std::mismatch(after.begin(), after.end(), before.begin(), before.end());
    const std::size_t line = after.rfind('\n', static_cast<std::size_t>(at - after.begin())) + 1;
    return after.substr(line, after.find(" threads", line) - line);
  };
  const Tensor a = rough({18, 31}), b = rough({31, 41}), wide = unwritten({18, 50});
  CHECK(key_of(a, b, unwritten({18, 41})) == "matmul f32 1x18x41x31 rows rows activation 0");
  CHECK(key_of(a, b, wide.slice(1, 0, 41)) ==
        "matmul f32 1x18x41x31 rows rows to rows/50 activation 0");
  CHECK(key_of(a, rough({41, 62}).slice(1, 0, 31).transpose(), wide.slice(1, 2, 43)) ==
        "matmul f32 1x18x41x31 rows columns/62 to rows/50 activation 0 aligned to 16 16 8");
}

TEST_CASE("choice: a result is measured as aligned as it lies" * cpu_only) {
  static std::set<std::int64_t> seen;
  const MatmulBackend& own = *matmul_family().find(Device{}, Source::own);
  MatmulBackend vendor = own;
  vendor.fill = [](const MatmulProblem& problem, void*) { seen.insert(alignment(problem.c)); };
  fastest_matmul(problem_of(rough({1, 31}), rough({31, 43}), unwritten({1, 50}).slice(1, 1, 44)),
                 own, vendor);
  CHECK((seen == std::set<std::int64_t>{4}));
}

TEST_CASE("choice: attention is measured by all that it writes" * cpu_only) {
  const AttentionBackend& own = *attention_family().find(Device{}, Source::own);
  const Tensor q = rough({2, 9, 1, 8}), k = rough(q.shape(), DType::f32, 2);
  const Tensor v = rough(q.shape(), DType::f32, 3), g = rough(q.shape(), DType::f32, 4);
  const Attended y = attention(q, k, v);
  const AttentionGradients d = attention_gradients(g, y, q, k, v);
  AttentionProblem p{};
  p.batch = 2, p.queries = p.keys = 9, p.heads = 1, p.channels = 8, p.scale = 0.5;
  p.q = q.raw(), p.k = k.raw(), p.v = v.raw(), p.g = g.raw();
  p.out = y.out.raw(), p.log_sum = y.log_sum.raw();
  p.dq = d.q.raw(), p.dk = d.k.raw(), p.dv = d.v.raw();
  static int wrong;  // which result is, -1: none
  AttentionBackend vendor = own;
  vendor.serves = [](const AttentionProblem& problem) { return problem.plan == 0; };
  vendor.values = [](const AttentionProblem& problem, void* workspace) {
    attention_family().find(Device{}, Source::own)->values(problem, workspace);
    void* const results[] = {problem.out, problem.log_sum};
    if (wrong >= 0)
      *static_cast<float*>(results[wrong]) += 1;
  };
  vendor.gradients = [](const AttentionProblem& problem, void* workspace) {
    attention_family().find(Device{}, Source::own)->gradients(problem, workspace);
    void* const results[] = {problem.dq, problem.dk, problem.dv};
    if (wrong >= 0)
      *static_cast<float*>(results[wrong]) += 1;
  };
  for (const bool gradients : {false, true})
    for (wrong = -1; wrong < (gradients ? 3 : 2); ++wrong) {
      INFO((gradients ? "gradients" : "values") << ", wrong is " << wrong);
      p.gradients = gradients;
      p.scale += 0.01;  // another problem, which is measured
      CHECK(fastest_attention(p, own, vendor).plan == (wrong < 0 ? 0 : -1));
    }
}

TEST_CASE("choice: softmax is measured, and what is wrong never taken" * cpu_only) {
  const SoftmaxBackend& own = *softmax_family().find(Device{}, Source::own);
  const Tensor x = rough({7, 30}), y = softmax(x, 1);
  SoftmaxBackend vendor = own;
  vendor.serves = [](const SoftmaxProblem& problem) { return problem.plan == 0; };
  SoftmaxProblem problem{SoftmaxKind::softmax, DType::f32, 7, 30, x.raw(), y.raw()};
  CHECK(fastest_softmax(problem, own, vendor).plan == 0);
  vendor.fill = [](const SoftmaxProblem& p) { *static_cast<float*>(p.out) = 1; };
  CHECK(fastest_softmax(problem, own, vendor).plan == 0);  // remembered
  problem.kind = SoftmaxKind::log_softmax;
  CHECK(fastest_softmax(problem, own, vendor).plan == -1);
}

TEST_CASE("choice: fastest-vendor leaves to own only what no plan has right" * cpu_only) {
  if (vendor_missing()) {
    MESSAGE("skipped: there is no vendor library");
    return;
  }
  const OwnAgain after;
  choose_kernels("matmul=fastest-vendor");
  CHECK(choice_for("matmul") == Choice::fastest_vendor);
  CHECK(named_for_vendor("matmul"));
  CHECK(served_by(38) == "matmul oneDNN");
  const std::string version = vendor_version("matmul", Device::cpu);
  const auto record = [&](const char* choice) {
    restore_choices(fmt::format("matmul f32 1x38x40x30 rows rows activation 0 threads {}, {}: {}\n",
                                threads(), version, choice));
  };
  record("own 0");
  CHECK(served_by(38) == "matmul oneDNN");
  choose_kernels("matmul=fastest");
  CHECK(served_by(38) == "matmul own");
  record("vendor 0");
  CHECK(served_by(38) == "matmul oneDNN");
  choose_kernels("matmul=fastest-vendor");
  record("own");
  CHECK(served_by(38) == "matmul own");
}

TEST_CASE("choice: a vendor's path that failed its proof throws by name, and fastest takes own" *
          cpu_only) {
  static const Variant path{"matmul", "tried path", DType::f32,
                            vendor_products(DType::f32, Products::f32)};
  path.refuse("on a tried GPU, [0] of result 0 is 7 instead of 3");
  MatmulBackend vendor = *matmul_family().find(Device{}, Source::own);
  vendor.fill = [](const MatmulProblem&, void*) { path.require_usable(); };
  const Tensor a = rough({29, 200}), b = rough({200, 30}, DType::f32, 2), c = full({29, 30}, 5);
  const MatmulProblem problem = problem_of(a, b, c);
  CHECK(
      message([&] { vendor.fill(problem, nullptr); }) ==
      "matmul/tried path/f32: this kernel failed its proof on this device, and nothing else "
      "serves: on a tried GPU, [0] of result 0 is 7 instead of 3. Take --device cpu, or --kernels "
      "own for a vendor's path; ./likely doctor lists what failed, and ./likely doctor --prove "
      "tries again.");
  const MatmulBackend& own = *matmul_family().find(Device{}, Source::own);
  CHECK(fastest_matmul(problem, own, vendor) == Winner{Source::own, -1});
}

TEST_CASE("choice: while the proof of a vendor's path runs, the vendor serves its family" *
          cpu_only) {
  if (vendor_missing()) {
    MESSAGE("skipped: there is no vendor library");
    return;
  }
  Inputs inputs(1, DType::f32, DType::f32, Device::cpu);
  const LaunchLog log;
  vendor_products(DType::f32, Products::f32).run(inputs);
  CHECK(log.launches().size() > 0);
  for (const Launch& launch : log.launches())
    CHECK(std::string(launch.kernel) != "matmul own");
  CHECK(choice_for("matmul") == Choice::own);
}
