// Which implementations of a family exist, and which one serves a device: own kernels or a vendor
// library.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace likely::kernels {

enum class Source { own, vendor };
enum class Choice { own, vendor, fastest, fastest_vendor };

// The choice for a family, from `--kernels own`, `--kernels vendor`, `--kernels matmul=vendor`.
// `vendor` takes the plan that a library's heuristics put first, `fastest-vendor` the fastest of
// its plans that gives own's result, `fastest` the faster of that and own (kernels/choice.h). A
// family without a vendor path uses own; asking for a vendor library that is missing on `device`
// throws UsageError.
void choose_kernels(const std::string& specification, Device device = {});
Choice choice_for(const std::string& family);
std::string chosen_kernels();  // the specification in force, for the run's record

// `meta` stands for a device: the same variants, the same workspace.
void meta_stands_for(Device device);
Device served(Device device);  // the device itself, or what meta stands for

// The device that this thread's launches go to: that of the last implementation looked up.
void set_current_device(Device device);
Device current_device();

void register_family(const char* name);
std::vector<std::string> family_names();

// The implementations of one family. `Implementation` is a struct of function pointers that begins
// with `const char* name`; a backend adds what it has from a static object, and what is absent is
// not available.
template <class Implementation>
class Family {
 public:
  explicit Family(const char* name) : name_(name) { register_family(name); }

  void add(Device::Kind device, Source source, const Implementation& implementation) {
    entries_.push_back({device, source, implementation});
  }

  const char* name() const { return name_; }

  // All that serve a device, own first.
  std::vector<const Implementation*> candidates(Device device) const {
    set_current_device(device);
    std::vector<const Implementation*> found;
    for (const Source source : {Source::own, Source::vendor})
      for (const Entry& entry : entries_)
        if (entry.device == served(device).kind && entry.source == source)
          found.push_back(&entry.implementation);
    return found;
  }

  // The first from one source, or null.
  const Implementation* find(Device device, Source source) const {
    set_current_device(device);
    for (const Entry& entry : entries_)
      if (entry.device == served(device).kind && entry.source == source)
        return &entry.implementation;
    return nullptr;
  }

  // Own kernels for a device.
  const Implementation& own(Device device) const {
    const Implementation* found = find(device, Source::own);
    require(found, "{}: no kernel for the device {}.", name_, device);
    return *found;
  }

  // The vendor's where it is chosen and `serves` the problem, else own.
  template <class Problem>
  const Implementation& serving(Device device, const Problem& problem) const {
    const Implementation* vendor = chosen_vendor(device);
    return vendor && vendor->serves(problem) ? *vendor : own(device);
  }

  // The same, where both can be measured: `fastest` takes whom `measure(problem, own, vendor)`
  // finds, and the problem the vendor's plan.
  template <class Problem, class F>
  const Implementation& serving(Device device, Problem& problem, F measure) const {
    const Choice choice = choice_for(name_);
    const Implementation* vendor = choice == Choice::own ? nullptr : find(device, Source::vendor);
    if (!vendor || !vendor->serves(problem))
      return own(device);
    if (choice == Choice::vendor)
      return *vendor;
    const auto found = measure(problem, own(device), *vendor);
    if (found.plan < 0 || (choice == Choice::fastest && found.source == Source::own))
      return own(device);
    problem.plan = found.plan;
    return *vendor;
  }

  // The one for a device under the choice in force (`fastest` reads as own here).
  const Implementation& serving(Device device) const {
    const Implementation* vendor = chosen_vendor(device);
    return vendor ? *vendor : own(device);
  }

 private:
  struct Entry {
    Device::Kind device;
    Source source;
    Implementation implementation;
  };
  const Implementation* chosen_vendor(Device device) const {
    const Choice choice = choice_for(name_);
    return choice == Choice::vendor || choice == Choice::fastest_vendor
               ? find(device, Source::vendor)
               : nullptr;
  }

  const char* name_;
  std::vector<Entry> entries_;
};

// A static object of this type adds an implementation to a family when the program starts.
template <class Implementation>
struct Registered {
  Registered(Family<Implementation>& family, Device::Kind device, Source source,
             const Implementation& what) {
    family.add(device, source, what);
  }
};

// The address that a problem carries: null for an undefined tensor, and for one on meta.
inline void* raw_or_null(const Tensor& x) {
  return x.defined() && !x.is_meta() ? x.raw() : nullptr;
}

// A result may be written, or added, into a given tensor: how a gradient lands in its flat buffer
// uncopied.
struct Into {
  Tensor out;        // undefined: allocate the result
  bool add = false;  // add to what `out` holds
};

// What a front tells about a launch before its fill; `plan` and `bench` listen.
struct Launch {
  const char* kernel;
  double flops;  // of products and convolutions; 0 for the rest
  double bytes;  // read and written at least once
};
void launched(const Launch& launch);
const char* latest_operation();  // the last of this thread's launches, or "none"

// While alive, collects this thread's launches.
class LaunchLog {
 public:
  LaunchLog();
  ~LaunchLog();
  LaunchLog(const LaunchLog&) = delete;
  const std::vector<Launch>& launches() const { return launches_; }
  double flops() const;

 private:
  friend void launched(const Launch& launch);
  std::vector<Launch> launches_;
  LaunchLog* outer_;
};

}  // namespace likely::kernels
