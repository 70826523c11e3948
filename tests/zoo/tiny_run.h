// Runs of the tiny model, as `train` and `resume` make them.
#pragma once
#include <map>

#include "tests/zoo/tiny_model.h"
#include "zoo/run/training.h"

namespace likely {

inline GivenSettings given(const std::map<std::string, std::string>& settings) {
  GivenSettings result;
  for (const auto& [name, value] : settings)
    result[name] = {value, "--" + name};
  return result;
}

// Trains quietly in a new folder, or goes on in an old one; returns the exit code.
inline int run(const std::string& folder, const std::map<std::string, std::string>& settings = {},
               FileSystem&& files = HastyFileSystem()) {
  const ModelDescription description = tiny_description();
  const bool there = std::filesystem::exists(folder);
  const Configuration configuration =
      there ? RunDirectory::open(folder).read_configuration(description, given(settings))
            : resolve(description, {}, given(settings));
  const RunDirectory directory =
      there ? RunDirectory::open(folder) : RunDirectory::create(folder, configuration);
  const Captured results(1);
  return train(description, configuration, directory, there ? Beginning::resumed : Beginning::fresh,
               {Verbosity::quiet, Output::text, &files});
}

}  // namespace likely
