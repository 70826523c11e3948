// First contact: kernels are proven on a device before it computes with them for the first time,
// and again when the driver or a build is new. Verdicts are kept in the user's cache folder.
#pragma once
#include <optional>

#include "kernels/gpu.h"
#include "kernels/prove_apart.h"

namespace likely::kernels {

struct Contact {
  std::string device;           // "NVIDIA H100 80GB HBM3"
  std::string key;              // all that verdicts depend on, in words
  std::vector<Module> modules;  // see prove_apart()
  std::chrono::milliseconds silence{20'000};
  int index = 0;  // of the GPU. Equal ones share a key
};
Contact own_contact(Cuda cuda, const Gpu& gpu = find_gpu());
// Of a vendor's module, whose library has that version.
Contact vendor_contact(const Module& module, std::size_t version, const Gpu& gpu = find_gpu());

// What is on record; nothing where there is no record for that key.
std::optional<std::vector<Verdict>> recorded_verdicts(const Contact& contact);

void record_verdicts(const Contact& contact, const std::vector<Verdict>& verdicts);

// From the record, or from proofs that are carried out now, which one line on stderr says.
std::vector<Verdict> verdicts_of(const Contact& contact);
std::vector<Verdict> prove_again(const Contact& contact);

// For people: how many passed, and a line each that did not, with index, value and bound.
std::string report(const Contact& contact, const std::vector<Verdict>& verdicts);

// What failed is not launched any more: see Variant::usable().
void refuse_failed(const Contact& contact, const std::vector<Verdict>& verdicts);

// Opens the device `cuda`, without the kernels that failed. UsageError where a plain one did: it
// stands in for those, and nothing for it.
void open_proven(const Contact& contact);

}  // namespace likely::kernels
