// Own kernels or vendor libraries: which vendor libraries there are, and what `fastest` has found.
#pragma once
#include <functional>
#include <optional>

#include "kernels/backend.h"

namespace likely::kernels {

// A library that serves a family through a module of ours, opened when it is first asked for.
struct VendorLibrary {
  std::string family;   // "matmul"
  std::string library;  // "oneDNN 2 (libdnnl.so.2)"
  std::string install;  // what makes it available: "Run apt install …"
  std::string problem;  // why it cannot be used; empty where it can
};
std::vector<VendorLibrary> vendor_libraries(Device device);  // opens all that serve it

// Of the library that serves a family on a device, if it is open: "cuDNN 9 (libcudnn.so.9) 91900".
std::string vendor_version(const std::string& family, Device device);

// Whether it was asked for by name, `FAMILY=vendor`, and not with all others.
bool named_for_vendor(const std::string& family);

struct Contact;  // kernels/first_contact.h
struct Gpu;
std::vector<Contact> vendor_contacts(const Gpu& gpu);  // of those that can be opened

// One family's choice while this lives, of what is open: for the proof of a vendor's path.
class ChoiceFor {
 public:
  ChoiceFor(const std::string& family, Choice choice);
  ChoiceFor(const ChoiceFor&) = delete;
  ~ChoiceFor();

 private:
  const std::string family_;
  std::optional<Choice> before_;  // where it had one of its own
};

// What measuring found: who is faster, own or the vendor by the fastest of its plans. 0 is the plan
// that its heuristics put first; -1: none gave own's result.
struct Winner {
  Source source;
  int plan;
  bool operator==(const Winner&) const = default;
};

// Under `fastest`: who serves the problem that `key` spells out, the library's version with it.
// `measure` decides on the first call, memory from then on.
Winner fastest(const std::string& key, const std::function<Winner()>& measure);
std::optional<Winner> remembered_choice(const std::string& key);

// All that was measured so far, a line a problem, and back: a run records it, resume restores it.
std::string remembered_choices();
void restore_choices(const std::string& text);  // throws DataError where a line is none of ours

}  // namespace likely::kernels
