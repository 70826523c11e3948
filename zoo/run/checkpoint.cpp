#include "zoo/run/checkpoint.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "tensor/json.h"
#include "tensor/nearest.h"
#include "tensor/safetensors.h"
#include "tensor/shown.h"
#include "zoo/run/checkpoint_names.h"
#include "zoo/run/machine.h"

namespace likely {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_state_json = 1 << 24;

std::string crc_text(const std::string& bytes) {
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  return fmt::format("{:08x}", ::crc32_z(0, data, bytes.size()));
}

std::vector<std::pair<std::string, const Checkpoint::Tensors*>> files_of(
    const Checkpoint& checkpoint) {
  std::vector<std::pair<std::string, const Checkpoint::Tensors*>> files{
      {"model.safetensors", &checkpoint.model}, {"state.safetensors", &checkpoint.state}};
  if (!checkpoint.average.empty())
    files.emplace_back("average.safetensors", &checkpoint.average);
  return files;
}

// How messages about a folder begin that are about its state.json.
std::string state_of(const std::string& folder) { return "checkpoint: " + folder + "/state.json"; }

Json read_state(const std::string& folder) {
  const std::string from = state_of(folder);
  Json state = parse_json(read_file(folder + "/state.json", largest_state_json), from);
  const std::string checksum = text_in(state, "checksum", from);
  state.erase("checksum");
  require<DataError>(checksum == crc_text(state.dump()), "{} was changed: its checksum differs.",
                     from);
  const std::int64_t format = integer_in(state, "format", from, 0, largest_count);
  require<DataError>(
      format == 1,
      "{} has the format {}, and likely {} reads format 1. Use the likely that wrote "
      "it.",
      from, format, version);
  integer_in(state, "step", from, 0, largest_count);
  return state;
}

// A size that differs shows before all of the file is read.
void check_sum(const std::string& path, const Json& expected, const std::string& from) {
  const std::int64_t bytes = integer_in(expected, "bytes", from, 0, largest_count);
  require<DataError>(
      static_cast<std::int64_t>(size_of(open_to_read("read", path))) == bytes &&
          fmt::format("{:08x}", sum_of(path).crc32) == text_in(expected, "crc32", from),
      "checkpoint: {} was changed: its size or checksum differs.", path);
}

Checkpoint::Tensors read_tensors(const std::string& folder, const std::string& name,
                                 const Json& state) {
  const std::string path = folder + "/" + name, from = state_of(folder);
  check_sum(path, object_in(object_in(state, "files", from), name.c_str(), from), from);
  SafeTensors content = load_safetensors(path);
  require<DataError>(
      content.metadata["step"] == fmt::format("{}", state.at("step").get<std::int64_t>()) &&
          content.metadata["hash"] == text_in(state, "hash", from),
      "checkpoint: {} is of another step than state.json.", path);
  return std::move(content.tensors);
}

Checkpoint read_folder(const std::string& folder) {
  const Json state = read_state(folder);
  const std::string from = state_of(folder);
  Checkpoint checkpoint;
  checkpoint.step = state.at("step");
  checkpoint.hash = text_in(state, "hash", from);
  const Json& facts = object_in(state, "facts", from);
  for (const auto& [name, value] : facts.items())
    checkpoint.facts.emplace(name, text_in(facts, name.c_str(), from));
  checkpoint.model = read_tensors(folder, "model.safetensors", state);
  checkpoint.state = read_tensors(folder, "state.safetensors", state);
  if (object_in(state, "files", from).contains("average.safetensors"))
    checkpoint.average = read_tensors(folder, "average.safetensors", state);
  return checkpoint;
}

// Throws DataError unless all files are as they were written; reads them and keeps nothing.
void check_folder(const std::string& folder) {
  const Json state = read_state(folder);
  const Json& files = object_in(state, "files", state_of(folder));
  for (const auto& [name, expected] : files.items())
    check_sum(folder + "/" + name, expected, state_of(folder));
}

constexpr std::int64_t unknown_step = std::numeric_limits<std::int64_t>::max();

// What its state.json says, where that is whole.
std::int64_t step_in(const std::string& folder) {
  try {
    return read_state(folder).at("step");
  } catch (const DataError&) {
    return unknown_step;
  }
}

}  // namespace

const std::string& Checkpoint::fact(const std::string& name) const {
  const auto found = facts.find(name);
  require<DataError>(found != facts.end(),
                     "checkpoint: the state.json of step {} has no fact \"{}\".", step, name);
  return found->second;
}

CheckpointFolder::CheckpointFolder(std::string folder, FileSystem& files)
    : folder_(std::move(folder)), files_(files) {}

void CheckpointFolder::save(const Checkpoint& checkpoint, const Warn& warn) {
  const std::string name = folder_name(checkpoint.step), partial = path("." + name + ".partial");
  require_space(checkpoint);
  if (files_.remove(partial) != 0)
    fail_to_save("remove " + partial);
  write(checkpoint, partial);
  try {
    check_folder(partial);
  } catch (const DataError& error) {
    fail<SaveError>("save: what was written reads back as something else: {} Look at the disk.",
                    error.what());
  }
  put_in_place(partial, name);
  const bool free_last = make_way_for("last", checkpoint.step),
             free_previous = make_way_for("previous", checkpoint.step);
  const std::string previous = newest_whole_before(checkpoint.step);
  if (free_previous && !previous.empty())
    point("previous", previous, warn);
  if (free_last)
    point("last", name, warn);
  sync_folder(files_, folder_);
  remove_old(checkpoint.step, previous, warn);
}

// A folder of this name is the rest of a crash, or broken: a whole one would have been resumed.
void CheckpointFolder::put_in_place(const std::string& partial, const std::string& name) {
  const std::string aside = path("." + name + ".old");
  if (is_there(path(name)) && (files_.remove(aside) != 0 || files_.rename(path(name), aside) != 0))
    fail_to_save("move away " + path(name));
  if (files_.rename(partial, path(name)) != 0)
    fail_to_save("rename " + partial);
  sync_folder(files_, folder_);
}

void CheckpointFolder::require_space(const Checkpoint& checkpoint) {
  std::int64_t bytes = 1 << 16;  // headers and state.json
  for (const auto& [name, tensors] : files_of(checkpoint))
    for (const auto& [tensor_name, tensor] : *tensors)
      bytes += static_cast<std::int64_t>(tensor.bytes()) + 200;
  const std::int64_t free = files_.free_bytes(folder_);
  if (free < 0)
    fail_to_save("ask for the free space of " + folder_);
  require<SaveError>(free > bytes + bytes / 10,
                     "save: a checkpoint needs {} bytes and {} are free in {}. Make room.", bytes,
                     free, folder_);
}

void CheckpointFolder::write(const Checkpoint& checkpoint, const std::string& into) {
  if (files_.make_folder(into) != 0)
    fail_to_save("make the folder " + into);
  Json state{{"format", 1},
             {"step", checkpoint.step},
             {"hash", checkpoint.hash},
             {"likely", version},
             {"facts", checkpoint.facts}};
  for (const auto& [name, tensors] : files_of(checkpoint)) {
    OutputFile file(files_, into + "/" + name);
    write_safetensors(
        {*tensors, {{"step", fmt::format("{}", checkpoint.step)}, {"hash", checkpoint.hash}}},
        [&](const void* data, std::size_t bytes) { file.write(data, bytes); });
    file.finish();
    state["files"][name] = {{"bytes", file.bytes()},
                            {"crc32", fmt::format("{:08x}", file.crc32())}};
  }
  state["checksum"] = crc_text(state.dump());
  OutputFile file(files_, into + "/state.json");
  file.write(state.dump(2) + "\n");
  file.finish();
  sync_folder(files_, into);
}

// Where a copy has a folder in a link's place: one of a step up to `step` becomes step-N, or goes
// where there is a whole one already. False where it stays, since nothing proves it to be older.
bool CheckpointFolder::make_way_for(const std::string& link, std::int64_t step) {
  if (!is_folder(path(link)))
    return true;
  const std::int64_t its_step = step_in(path(link));
  if (its_step > step)
    return false;
  const std::string name = folder_name(its_step);
  if (is_whole(link) && !is_whole(name)) {
    if (files_.remove(path(name)) != 0 || files_.rename(path(link), path(name)) != 0)
      fail_to_save("rename " + path(link) + " to " + path(name));
  } else if (files_.remove(path(link)) != 0) {
    fail_to_save("remove " + path(link));
  }
  return true;
}

// Links cannot be written over, but a new one can be renamed over the old.
void CheckpointFolder::point(const std::string& link, const std::string& target, const Warn& warn) {
  const std::string fresh = path("." + link + ".partial");
  if (files_.remove(fresh) != 0)
    fail_to_save("remove " + fresh);
  if (files_.link(target, fresh) != 0) {
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
      fail_to_save("point " + path(link) + " to " + target);
    if (!std::exchange(said_no_links_, true))
      warn(
          fmt::format("{} cannot hold links ({}). Training goes on without `last` and `previous`: "
                      "the newest whole step-N counts.",
                      folder_, std::strerror(errno)));
    return;
  }
  if (files_.rename(fresh, path(link)) != 0)
    fail_to_save("rename " + fresh);
}

// What is older than the checkpoint of `step`, which is proven whole, but for `previous` and what
// a link names.
void CheckpointFolder::remove_old(std::int64_t step, const std::string& previous,
                                  const Warn& warn) {
  std::set<std::string> kept{previous};
  const std::vector<std::string> all = names();
  for (const std::string& name : all)
    if (name != "last" && name != "previous")
      kept.insert(target_of(path(name)));
  for (const std::string& name : all) {
    const std::int64_t its_step = step_of_name(name), rest = cut_short_step(name);
    const bool old = its_step >= 0 && its_step < step && is_folder(path(name));
    if (kept.contains(name) || !(old || (rest >= 0 && rest <= step)))
      continue;
    if (files_.remove(path(name)) != 0)
      warn(fmt::format("could not remove the old checkpoint {}: {}.", path(name),
                       std::strerror(errno)));
  }
}

std::vector<std::string> CheckpointFolder::names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error))
    names.push_back(entry->path().filename().string());
  require<DataError>(!error || error == std::errc::no_such_file_or_directory,
                     "checkpoint: cannot list {}: {}.", folder_, error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// Newest first; what does not tell its step before all. A folder `last` of a copy comes after the
// step-N that it was copied from.
std::vector<CheckpointFolder::Candidate> CheckpointFolder::candidates() const {
  std::vector<Candidate> all;
  for (const std::string& name : names())
    if (const std::int64_t step = step_of_name(name); step >= 0 && is_folder(path(name)))
      all.push_back({name, step});
    else if (is_pointer(name) && is_folder(path(name)))
      all.push_back({name, step_in(path(name))});
  std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    return a.step != b.step ? a.step > b.step : step_of_name(a.name) > step_of_name(b.name);
  });
  return all;
}

bool CheckpointFolder::is_whole(const std::string& name) const {
  if (!is_folder(path(name)) ||
      (step_of_name(name) >= 0 && step_in(path(name)) != step_of_name(name)))
    return false;
  try {
    check_folder(path(name));
    return true;
  } catch (const DataError&) {
    return false;
  }
}

std::string CheckpointFolder::newest_whole_before(std::int64_t step) const {
  for (const auto& [name, its_step] : candidates())
    if (its_step < step && is_whole(name))
      return name;
  return "";
}

Checkpoint CheckpointFolder::load(const Warn& warn) const {
  std::vector<std::string> problems;
  for (int attempt = 0; attempt < 100; ++attempt) {
    problems.clear();
    const std::vector<std::string> before = names();
    for (const Candidate& candidate : candidates()) {
      const auto& [name, step] = candidate;
      try {
        Checkpoint checkpoint = read_folder(path(name));
        require<DataError>(step_of_name(name) < 0 || checkpoint.step == step,
                           "checkpoint: {} is of step {}, and its name says another.", path(name),
                           checkpoint.step);
        for (const std::string& problem : problems)
          warn(fmt::format("{} Falling back to step {}.", problem, checkpoint.step));
        if (const std::string about = about_last(candidate); problems.empty() && !about.empty())
          warn(fmt::format("checkpoint: {} {}. Taking the newest whole one, step {}.", path("last"),
                           about, step));
        return checkpoint;
      } catch (const DataError& error) {
        problems.push_back(error.what());
        if (names() != before)
          break;
      }
    }
    if (names() == before)  // else training went on meanwhile, and there are newer ones
      break;
  }
  require<DataError>(!empty(), "checkpoint: there is none in {}.", folder_);
  fail<DataError>("checkpoint: none in {} is whole: found {}.{}{}", folder_, found(),
                  problems.empty() ? "" : " ", joined(problems, " "));
}

// Why `last` does not lead to what was taken; empty where it does.
std::string CheckpointFolder::about_last(const Candidate& taken) const {
  const std::string last = path("last"), target = target_of(last);
  std::error_code error;
  if (fs::equivalent(last, path(taken.name), error))
    return "";
  if (!target.empty())
    return "is a link to " + target;
  if (!is_folder(last))
    return is_there(last) ? "is no link" : "is missing";
  const std::int64_t step = step_in(last);
  return step == taken.step ? "" : fmt::format("is a folder of step {}", step);
}

std::string CheckpointFolder::found() const {
  std::vector<std::string> all;
  for (const std::string& name : names())
    if (step_of_name(name) >= 0 || is_pointer(name)) {
      const std::string target = target_of(path(name));
      all.push_back(target.empty() ? name : fmt::format("{} (a link to {})", name, target));
    }
  return joined(all);
}

std::string CheckpointFolder::cut_short() const {
  std::vector<std::string> all;
  for (const std::string& name : names())
    if (cut_short_step(name) >= 0)
      all.push_back(name);
  return joined(all);
}

}  // namespace likely
