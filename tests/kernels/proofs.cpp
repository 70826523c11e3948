// Every variant of every kernel, in its proof cases.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "kernels/cuda.h"
#include "kernels/guards.h"
#include "kernels/prove.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

bool emulated() {
  device_under_test();
  return opened_cuda() == Cuda::emulated;
}

// How kernels were emulated before, again.
struct EmulationAgain {
  ~EmulationAgain() { emulation() = before; }
  Emulation before = emulation();
};

template <class F>
void for_each_proof(F f) {
  for (const Variant* variant : all_variants())
    for (const Proof& proof : variant->proofs()) {
      INFO(variant->name() << ", " << proof.name);
      f(*variant, proof);
    }
}

std::vector<std::byte> bytes_of_results(const Variant& variant, const Proof& proof) {
  Inputs inputs(1, variant.dtype(), variant.dtype(), device_under_test());
  std::vector<std::byte> bytes;
  for (const Tensor& result : proof.run(inputs)) {
    const Tensor here = contiguous(result).to(Device::cpu);
    const auto* begin = static_cast<const std::byte*>(here.raw());
    bytes.insert(bytes.end(), begin, begin + here.bytes());
  }
  return bytes;
}

}  // namespace

TEST_CASE("proofs: every family has variants, and each agrees with the CPU in f64") {
  if (!on_cuda()) {
    MESSAGE("skipped: the CPU is what proofs compare with");
    return;
  }
  const Device device = device_under_test();
  for (const std::string& family : family_names()) {
    INFO(family);
    CHECK(std::any_of(all_variants().begin(), all_variants().end(), [&](const Variant* variant) {
      return variant->name().starts_with(family + "/");
    }));
  }
  guard_memory(device);
  const int runs = std::getenv("LIKELY_TEST_SMALL") ? 1 : 3;  // a sanitizer sees the same in each
  for_each_proof([&](const Variant& variant, const Proof& proof) {
    const Verdict verdict = prove(variant, proof, device, runs);
    INFO(describe(verdict));
    CHECK(verdict.passed());
  });
}

TEST_CASE(
    "proofs: a kernel that is refused is not launched: another one is as right, or it is named") {
  if (!emulated() || std::getenv("LIKELY_TEST_SMALL")) {
    MESSAGE("skipped: what serves instead is the same on a GPU, and under a sanitizer");
    return;
  }
  std::set<std::string> alone;
  for (const Variant* variant : all_variants()) {
    const std::uint64_t before = variant->launches();
    variant->refuse("tried");
    for (const Proof& proof : variant->proofs()) {
      const Verdict verdict = prove(*variant, proof, device_under_test());
      INFO(describe(verdict));
      CHECK(variant->launches() == before);
      if (verdict.problem.find("nothing else serves: tried") != std::string::npos) {
        CHECK(verdict.problem.starts_with(variant->name() + ": "));
        alone.insert(variant->name());
      } else {
        CHECK(verdict.problem == "its case did not launch it");
        CHECK(verdict.where == "");
      }
    }
    variant->refuse("");
  }
  for (const std::string& name : alone) {
    INFO(name);
    CHECK(name.find("packed") == std::string::npos);
    if (name.starts_with("matmul/") || name.starts_with("convolution/"))
      CHECK(name.find("/plain") != std::string::npos);
  }
}

TEST_CASE("proofs: no order of blocks and threads, and no copy's time, changes a bit") {
  if (!emulated() || std::getenv("LIKELY_TEST_SMALL")) {
    MESSAGE(
        "skipped: only emulated kernels run in a chosen order, with the same bits under a "
        "sanitizer");
    return;
  }
  const EmulationAgain after;
  for_each_proof([&](const Variant& variant, const Proof& proof) {
    emulation() = emulation_from("forward late");
    const std::vector<std::byte> first = bytes_of_results(variant, proof);
    for (const char* words : {"random=7 early", "forward early", "reverse late", "random=8 late"}) {
      INFO(words);
      emulation() = emulation_from(words);
      CHECK((bytes_of_results(variant, proof) == first));
    }
  });
}

TEST_CASE("proofs: products and convolutions use shared memory without bank conflicts") {
  if (!emulated() || std::getenv("LIKELY_TEST_SMALL")) {
    MESSAGE(
        "skipped: only emulated kernels count their bank conflicts, the same under a sanitizer");
    return;
  }
  const EmulationAgain after;
  emulation().counts_bank_conflicts = true;
  for_each_proof([](const Variant& variant, const Proof& proof) {
    if (!variant.name().starts_with("matmul/") && !variant.name().starts_with("convolution/"))
      return;
    emulation().bank_conflicts = 0;
    bytes_of_results(variant, proof);
    CHECK(emulation().bank_conflicts == 0);
  });
}
