// `--kernels`: parsing, vendor modules opened on demand, and the memory of `fastest`.
#include "kernels/choice.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

#include "kernels/fastest.h"
#include "kernels/first_contact.h"
#include "kernels/module.h"
#include "tensor/nearest.h"
#include "tensor/shown.h"

namespace likely::kernels {
namespace {

// What this build may know a vendor path for, whether or not it was built.
struct VendorModule {
  Device::Kind device;
  const char* family;
  const char* library;
  const char* build;    // how to mend that it was not built
  const char* file;     // beside liblikely.so; linked with the vendor's library
  const char* soname;   // of the library, where LIKELY_CUDA_LIBRARIES may say where it is
  const char* version;  // the function of the library, or of the module, that says it
};
constexpr const char* onednn = "oneDNN 2 (libdnnl.so.2)";
constexpr const char* onednn_build = "Run apt install libdnnl-dev, then build again";
constexpr const char* onednn_file = "liblikely_onednn.so";
constexpr const char* onednn_version = "likely_onednn_version";
constexpr const char* cudnn = "cuDNN 9 (libcudnn.so.9)";
constexpr const char* cudnn_build =
    "Install cuDNN with its headers beside the CUDA Toolkit, then build again";
constexpr const char* cudnn_file = "liblikely_cudnn.so";
constexpr VendorModule vendor_modules[] = {
    {Device::cpu, "matmul", onednn, onednn_build, onednn_file, "", onednn_version},
    {Device::cpu, "convolution", onednn, onednn_build, onednn_file, "", onednn_version},
    {Device::cuda, "matmul", "cuBLASLt 13 (libcublasLt.so.13)",
     "Install the CUDA Toolkit with cuBLAS, then build again", "liblikely_cublaslt.so",
     "libcublasLt.so.13", "cublasLtGetVersion"},
    {Device::cuda, "convolution", cudnn, cudnn_build, cudnn_file, "libcudnn.so.9",
     "cudnnGetVersion"},
    {Device::cuda, "attention", cudnn, cudnn_build, cudnn_file, "libcudnn.so.9", "cudnnGetVersion"},
    {Device::cuda, "normalise", cudnn, cudnn_build, cudnn_file, "libcudnn.so.9", "cudnnGetVersion"},
    {Device::cuda, "softmax", cudnn, cudnn_build, cudnn_file, "libcudnn.so.9", "cudnnGetVersion"}};

std::mutex choices_mutex;                             // of all that is kept here
std::map<const VendorModule*, std::size_t> versions;  // of the libraries of open ones

// oneDNN's threads are OpenMP's. They would look for their next work for milliseconds, on CPUs that
// ours need in between: so about as long as ours do. Read when the library is opened.
void bound_waiting() {
  if (!std::getenv("OMP_WAIT_POLICY"))
    setenv("GOMP_SPINCOUNT", "2000", 0);
}

VendorLibrary open_library(const VendorModule& module) {
  VendorLibrary library{module.family, module.library, module.build, ""};
  if (module.device == Device::cuda && opened_cuda() == Cuda::emulated) {
    library.problem = "cuda is emulated by the CPU";
    library.install = "Take a machine with a GPU";
    return library;
  }
  if (module.device == Device::cpu)
    bound_waiting();
  library.problem = open_module(module.file, module.soname);
  if (*module.soname && module_exists(module.file))
    library.install =
        fmt::format("Name the folder that holds {} in LIKELY_CUDA_LIBRARIES", module.soname);
  if (library.problem.empty()) {
    const std::lock_guard lock(choices_mutex);
    versions.try_emplace(&module, library_version(module.file, module.version));
  }
  return library;
}

// Of an open module.
Contact contact_of(const VendorModule& module, const Gpu& gpu) {
  return vendor_contact({module.file, module.soname}, library_version(module.file, module.version),
                        gpu);
}

// Its paths that failed their proofs are not used. Once, though it may be chosen often.
void meet(const VendorModule& module, const Gpu& gpu) {
  static std::mutex meeting;
  static std::set<std::pair<std::string, int>> met;
  const std::lock_guard lock(meeting);
  if (!met.emplace(module.file, gpu.index).second)
    return;
  const Contact contact = contact_of(module, gpu);
  refuse_failed(contact, verdicts_of(contact));
}

struct Chosen {
  std::string specification = "own";
  Choice everywhere = Choice::own;
  std::map<std::string, Choice> by_family;
};

Chosen chosen;
std::map<std::string, Winner> measured;

Choice parse_choice(const std::string& word) {
  const std::vector<std::string> words = {"own", "vendor", "fastest", "fastest-vendor"};
  for (std::size_t i = 0; i < words.size(); ++i)
    if (word == words[i])
      return static_cast<Choice>(i);
  fail<UsageError>("--kernels: there is no choice {}. Did you mean {}? There are {}.",
                   in_quotes(word), nearest(word, words), joined(words));
}

void choose(Chosen& to, const std::string& item) {
  const std::size_t equals = item.find('=');
  if (equals == std::string::npos) {
    to.everywhere = parse_choice(item);
    to.by_family.clear();
    return;
  }
  const std::string family = item.substr(0, equals);
  const std::vector<std::string> known = family_names();
  require<UsageError>(std::find(known.begin(), known.end(), family) != known.end(),
                      "--kernels: there is no family {}. Did you mean {}? There are {}.",
                      in_quotes(family), nearest(family, known), joined(known));
  to.by_family[family] = parse_choice(item.substr(equals + 1));
}

// "own", "own 3" or "vendor 3": who won, and the fastest plan of the vendor's.
std::optional<Winner> winner_in(const std::string& words) {
  const std::size_t space = std::min(words.find(' '), words.size());
  const std::string source = words.substr(0, space);
  const bool own = source == "own";
  int plan = own ? -1 : 0;
  const char* const end = words.data() + words.size();
  if ((!own && source != "vendor") ||
      (space < words.size() &&
       std::from_chars(words.data() + space + 1, end, plan) != std::from_chars_result{end, {}}) ||
      plan < (own ? -1 : 0) || plan >= most_plans)
    return std::nullopt;
  return Winner{own ? Source::own : Source::vendor, plan};
}

Choice choice_in(const Chosen& what, const std::string& family) {
  const auto own = what.by_family.find(family);
  return own == what.by_family.end() ? what.everywhere : own->second;
}

}  // namespace

void choose_kernels(const std::string& specification, Device device) {
  Chosen next;
  next.specification = specification;
  for (std::size_t begin = 0; begin <= specification.size();) {
    const std::size_t end = std::min(specification.find(',', begin), specification.size());
    choose(next, specification.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const VendorModule& module : vendor_modules) {
    const Choice choice = choice_in(next, module.family);
    if (module.device != device.kind || choice == Choice::own)
      continue;
    const VendorLibrary library = open_library(module);
    require<UsageError>(choice == Choice::fastest || library.problem.empty(),
                        "--kernels: {} through {} is not available: {}. {}, or leave {} to own.",
                        library.family, library.library, library.problem, library.install,
                        library.family);
    if (library.problem.empty() && module.device == Device::cuda && opened_cuda() == Cuda::gpu)
      meet(module, find_gpu(device.index));
  }
  const std::lock_guard lock(choices_mutex);
  chosen = next;
}

Choice choice_for(const std::string& family) {
  const std::lock_guard lock(choices_mutex);
  return choice_in(chosen, family);
}

bool named_for_vendor(const std::string& family) {
  const std::lock_guard lock(choices_mutex);
  const auto found = chosen.by_family.find(family);
  return found != chosen.by_family.end() &&
         (found->second == Choice::vendor || found->second == Choice::fastest_vendor);
}

std::string chosen_kernels() {
  const std::lock_guard lock(choices_mutex);
  return chosen.specification;
}

std::vector<VendorLibrary> vendor_libraries(Device device) {
  std::vector<VendorLibrary> all;
  for (const VendorModule& module : vendor_modules)
    if (module.device == device.kind)
      all.push_back(open_library(module));
  return all;
}

ChoiceFor::ChoiceFor(const std::string& family, Choice choice) : family_(family) {
  const std::lock_guard lock(choices_mutex);
  if (const auto found = chosen.by_family.find(family); found != chosen.by_family.end())
    before_ = found->second;
  chosen.by_family[family] = choice;
}

ChoiceFor::~ChoiceFor() {
  const std::lock_guard lock(choices_mutex);
  chosen.by_family.erase(family_);
  if (before_)
    chosen.by_family[family_] = *before_;
}

std::string vendor_version(const std::string& family, Device device) {
  const std::lock_guard lock(choices_mutex);
  for (const auto& [module, version] : versions)
    if (module->device == device.kind && module->family == family)
      return fmt::format("{} {}", module->library, version);
  return "";
}

std::vector<Contact> vendor_contacts(const Gpu& gpu) {
  std::vector<Contact> all;
  for (const VendorModule& module : vendor_modules)
    if (module.device == Device::cuda && cuda_here() == Cuda::gpu &&
        open_library(module).problem.empty() &&
        std::none_of(all.begin(), all.end(), [&](const Contact& other) {
          return other.modules.back().file == module.file;  // of another family
        }))
      all.push_back(contact_of(module, gpu));
  return all;
}

Winner fastest(const std::string& key, const std::function<Winner()>& measure) {
  if (const auto known = remembered_choice(key))
    return *known;
  const Winner found = measure();
  const std::lock_guard lock(choices_mutex);
  return measured.try_emplace(key, found).first->second;
}

std::optional<Winner> remembered_choice(const std::string& key) {
  const std::lock_guard lock(choices_mutex);
  const auto known = measured.find(key);
  return known == measured.end() ? std::nullopt : std::optional(known->second);
}

std::string remembered_choices() {
  const std::lock_guard lock(choices_mutex);
  std::string text;
  for (const auto& [key, winner] : measured)
    text += fmt::format("{}: {}{}\n", key, winner.source == Source::own ? "own" : "vendor",
                        winner.plan < 0 ? "" : fmt::format(" {}", winner.plan));
  return text;
}

void restore_choices(const std::string& text) {
  std::map<std::string, Winner> restored;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    const std::size_t colon = line.rfind(": ");
    const auto winner = winner_in(colon == std::string::npos ? "" : line.substr(colon + 2));
    require<DataError>(winner.has_value(),
                       "remembered kernels: a line is no choice: {}. Delete the record; "
                       "fastest measures again.",
                       in_quotes(line));
    restored.insert_or_assign(line.substr(0, colon), *winner);
    begin = end + 1;
  }
  const std::lock_guard lock(choices_mutex);
  for (const auto& choice : restored)
    measured.insert_or_assign(choice.first, choice.second);
}

}  // namespace likely::kernels
