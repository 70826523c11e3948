// Names in the folder of checkpoints, and what stands there.
#pragma once
#include <cstdint>
#include <string>

namespace likely {

std::string folder_name(std::int64_t step);          // "step-N"
std::int64_t step_of_name(const std::string& name);  // N of "step-N"; -1 of any other name
// N of ".step-N.partial" and ".step-N.old", which a save that was cut short leaves; -1 of others.
std::int64_t cut_short_step(const std::string& name);
bool is_pointer(const std::string& name);  // of a link to a checkpoint: last, previous or best

bool is_folder(const std::string& path);         // itself, not a link to one
bool is_there(const std::string& path);          // even if it is a link that leads nowhere
std::string target_of(const std::string& link);  // empty where there is no such link

}  // namespace likely
