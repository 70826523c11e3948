// The names of all families, the device behind `meta`, and the log of launches.
#include "kernels/backend.h"

namespace likely::kernels {
namespace {

// Families are made by static initialisers of many files: a plain global might not exist yet.
std::vector<const char*>& names() {
  static std::vector<const char*> all;
  return all;
}

Device stands_for;
thread_local LaunchLog* innermost = nullptr;
thread_local Device current;
thread_local const char* latest = "none";

}  // namespace

void set_current_device(Device device) { current = device; }
Device current_device() { return current; }

void register_family(const char* name) { names().push_back(name); }

std::vector<std::string> family_names() { return {names().begin(), names().end()}; }

void meta_stands_for(Device device) {
  require(device.kind != Device::meta, "meta: it cannot stand for itself. Name a real device.");
  stands_for = device;
}

Device served(Device device) { return device.kind == Device::meta ? stands_for : device; }

void launched(const Launch& launch) {
  latest = launch.kernel;
  for (LaunchLog* log = innermost; log; log = log->outer_)
    log->launches_.push_back(launch);
}

const char* latest_operation() { return latest; }

LaunchLog::LaunchLog() : outer_(innermost) { innermost = this; }

LaunchLog::~LaunchLog() { innermost = outer_; }

double LaunchLog::flops() const {
  double total = 0;
  for (const Launch& launch : launches_)
    total += launch.flops;
  return total;
}

}  // namespace likely::kernels
