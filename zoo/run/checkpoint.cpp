#include "zoo/run/checkpoint.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tensor/safetensors.h"
#include "zoo/run/machine.h"

namespace likely {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_state_json = 1 << 24;

std::string folder_name(std::int64_t step) { return fmt::format("step-{}", step); }

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

// The folder that a link names; empty where there is no such link.
std::string target_of(const std::string& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? "" : target.string();
}

Json read_state(const std::string& folder) {
  Json state = Json::parse(read_file(folder + "/state.json", largest_state_json), nullptr, false);
  require<DataError>(state.is_object() && state.contains("checksum"),
                     "checkpoint: {}/state.json is not whole.", folder);
  const Json checksum = state["checksum"];
  state.erase("checksum");
  require<DataError>(checksum == crc_text(state.dump()),
                     "checkpoint: {}/state.json was changed: its checksum differs.", folder);
  return state;
}

Checkpoint::Tensors read_tensors(const std::string& folder, const std::string& name,
                                 const Json& state) {
  const std::string path = folder + "/" + name;
  const Json& expected = state.at("files").at(name);
  const FileSum sum = sum_of(path);
  require<DataError>(
      sum.bytes == expected.at("bytes") && fmt::format("{:08x}", sum.crc32) == expected.at("crc32"),
      "checkpoint: {} was changed: its size or checksum differs.", path);
  const SafeTensors content = load_safetensors(path);
  require<DataError>(
      content.metadata.at("step") == fmt::format("{}", state.at("step").get<std::int64_t>()) &&
          content.metadata.at("hash") == state.at("hash"),
      "checkpoint: {} is of another step than state.json.", path);
  return content.tensors;
}

Checkpoint read_folder(const std::string& folder) {
  try {
    const Json state = read_state(folder);
    Checkpoint checkpoint;
    checkpoint.step = state.at("step");
    checkpoint.hash = state.at("hash");
    checkpoint.facts = state.at("facts").get<std::map<std::string, std::string>>();
    checkpoint.model = read_tensors(folder, "model.safetensors", state);
    checkpoint.state = read_tensors(folder, "state.safetensors", state);
    if (state.at("files").contains("average.safetensors"))
      checkpoint.average = read_tensors(folder, "average.safetensors", state);
    return checkpoint;
  } catch (const Json::exception& error) {
    fail<DataError>("checkpoint: {}/state.json lacks something: {}.", folder, error.what());
  } catch (const std::out_of_range&) {
    fail<DataError>("checkpoint: a file in {} does not tell its step.", folder);
  }
}

}  // namespace

CheckpointFolder::CheckpointFolder(std::string folder, FileSystem& files)
    : folder_(std::move(folder)), files_(files) {}

void CheckpointFolder::save(const Checkpoint& checkpoint,
                            const std::function<void(const std::string&)>& warn) {
  const std::string name = folder_name(checkpoint.step), partial = path("." + name + ".partial");
  require_space(checkpoint);
  if (files_.remove(partial) != 0)
    fail_to_save("remove " + partial);
  write(checkpoint, partial);
  // A folder of this name is the rest of a crash, or broken: a whole one would have been resumed.
  const std::string aside = path("." + name + ".old");
  if (fs::exists(path(name)) &&
      (files_.remove(aside) != 0 || files_.rename(path(name), aside) != 0))
    fail_to_save("move away " + path(name));
  if (files_.rename(partial, path(name)) != 0)
    fail_to_save("rename " + partial);
  sync_folder(files_, folder_);
  const std::string last = target_of(path("last"));
  if (!last.empty() && last != name)
    point("previous", last);
  point("last", name);
  sync_folder(files_, folder_);
  remove_old(warn);
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

// Links cannot be written over, but a new one can be renamed over the old.
void CheckpointFolder::point(const std::string& link, const std::string& target) {
  const std::string fresh = path("." + link + ".partial");
  if (files_.remove(fresh) != 0 || files_.link(target, fresh) != 0 ||
      files_.rename(fresh, path(link)) != 0)
    fail_to_save("point " + path(link) + " to " + target);
}

void CheckpointFolder::remove_old(const std::function<void(const std::string&)>& warn) {
  const std::string last = target_of(path("last")), previous = target_of(path("previous"));
  std::error_code error;
  std::vector<std::string> old;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if ((name.starts_with("step-") || name.starts_with(".step-")) && name != last &&
        name != previous)
      old.push_back(name);
  }
  for (const std::string& name : old)
    if (files_.remove(path(name)) != 0)
      warn(fmt::format("could not remove the old checkpoint {}: {}.", path(name),
                       std::strerror(errno)));
}

Checkpoint CheckpointFolder::load(const std::function<void(const std::string&)>& warn) const {
  std::string problems;
  for (const char* link : {"last", "previous"}) {
    if (target_of(path(link)).empty())
      continue;
    try {
      return read_folder(path(link));
    } catch (const DataError& error) {
      problems += fmt::format("{}{}", problems.empty() ? "" : " ", error.what());
      if (std::string(link) == "last" && !target_of(path("previous")).empty())
        warn(fmt::format("{} Falling back to the checkpoint before it.", error.what()));
    }
  }
  require<DataError>(!problems.empty(), "checkpoint: there is none in {}.", folder_);
  fail<DataError>("checkpoint: none in {} is whole. {}", folder_, problems);
}

bool CheckpointFolder::empty() const {
  return target_of(path("last")).empty() && target_of(path("previous")).empty();
}

}  // namespace likely
