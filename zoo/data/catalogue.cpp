// The table of data sets, and what `data list` and `data verify` say about it.
#include "zoo/data/catalogue.h"

#include <algorithm>
#include <cstdlib>

#include "tensor/nearest.h"
#include "tensor/shown.h"
#include "zoo/data/cifar.h"
#include "zoo/data/emoji.h"
#include "zoo/data/generated.h"
#include "zoo/data/idx.h"
#include "zoo/data/mnist.h"
#include "zoo/data/omniglot.h"
#include "zoo/data/png_folder.h"
#include "zoo/data/points.h"
#include "zoo/data/shapes_rgb.h"

namespace likely {
namespace {

DataSetDescription shapes_description() {
  return {
      "shapes",
      "endless + 10000 + 10000 images of 28x28",
      "discs, squares, triangles and crosses, 2 % of the pixels flipped; entropy 84.828210 nats",
      "generated",
      {},
      [](const DataOptions& options) {
        return make_generated("shapes", shapes_mixture(), options);
      }};
}

DataSetDescription bars_description(const std::string& name, int n, double entropy) {
  return {name,
          fmt::format("endless + 10000 + 10000 images of {0}x{0}", n),
          fmt::format("bars and stripes; entropy {:.5f} nats", entropy),
          "generated",
          {},
          [name, n](const DataOptions& options) {
            return make_generated(name, bars_mixture(n), options);
          }};
}

DataSetDescription ising_description(const std::string& name, double beta, double entropy) {
  return {name,
          "endless + 10000 + 10000 images of 4x4",
          fmt::format("the Ising model on a torus at β = {}; entropy {:.5f} nats", beta, entropy),
          "generated",
          {},
          [name, beta](const DataOptions& options) {
            return make_generated(name, ising_mixture(4, beta), options);
          }};
}

DataSetDescription points_description(const std::string& name, PointMixture (*mixture)()) {
  const PointMixture made = mixture();
  return {name,
          "endless + 10000 + 10000 points in the plane",
          fmt::format("Gaussians: {}, of sd {:.5f}; entropy {:.5f} nats", made.centres().size(),
                      made.sd(), made.entropy()),
          name == "gaussian" ? "generated" : "generated, as Gulrajani et al. (2017) drew them",
          {},
          [name, mixture](const DataOptions& options) {
            return make_points(name, mixture(), options);
          }};
}

}  // namespace

const char* name_of(Binarisation binarisation) {
  switch (binarisation) {
    case Binarisation::sampled:
      return "sampled";
    case Binarisation::thresholded:
      return "thresholded";
    case Binarisation::fixed:
      return "fixed";
    case Binarisation::none:
      return "none";
  }
  fail("data: {} is none of the binarisations.", static_cast<int>(binarisation));
}

Binarisation binarisation_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto binarisation : {Binarisation::sampled, Binarisation::thresholded,
                                  Binarisation::fixed, Binarisation::none}) {
    names.push_back(name_of(binarisation));
    if (name == names.back())
      return binarisation;
  }
  fail<UsageError>("data: there is no binarisation '{}'. Did you mean '{}'? There are {}.",
                   shown(name), nearest(name, names), joined(names));
}

std::filesystem::path default_data_directory() {
  const char* const directory = std::getenv("LIKELY_DATA");
  return directory && *directory ? directory : "data";
}

const std::vector<DataSetDescription>& data_sets() {
  static const std::vector<DataSetDescription> all = {
      shapes_description(),
      shapes_rgb_description(),
      bars_description("bars-4", 4, 3.37909),
      bars_description("bars", 8, 6.23291),
      bars_description("bars-16", 16, 11.78348),
      ising_description("ising-0.2", 0.2, 10.31184),
      ising_description("ising-0.4", 0.4, 5.73475),
      points_description("rings", rings_mixture),
      points_description("grid", grid_mixture),
      points_description("gaussian", gaussian_mixture),
      mnist_description(),
      fashion_mnist_description(),
      binarized_mnist_description(),
      omniglot_description(),
      cifar_description(),
      small_cifar_description(),
      emoji_description(32),
      emoji_description(64),
      png_folder_description(32),
      png_folder_description(64)};
  return all;
}

const DataSetDescription& find_data_set(const std::string& name) {
  std::vector<std::string> names;
  for (const DataSetDescription& set : data_sets()) {
    names.push_back(set.name);
    if (name == set.name)
      return set;
  }
  fail<UsageError>("data: there is no data set '{}'. Did you mean '{}'? There are {}.", shown(name),
                   nearest(name, names), joined(names));
}

std::unique_ptr<DataSet> make_data_set(const std::string& name, const DataOptions& options) {
  return find_data_set(name).make(options);
}

std::filesystem::path locate(const DataFile& file, const std::filesystem::path& directory) {
  for (const char* form : {".gz", ""}) {
    const std::filesystem::path path = directory / (file.path + form);
    if (std::filesystem::exists(path))
      return path;
  }
  return {};
}

bool present(const DataSetDescription& set, const std::filesystem::path& directory) {
  return std::all_of(set.files.begin(), set.files.end(),
                     [&](const DataFile& file) { return !locate(file, directory).empty(); });
}

Verification verify(const DataSetDescription& set, const std::filesystem::path& directory) {
  Verification result;
  const auto add = [&](bool holds, std::string line) {
    result.holds = result.holds && holds;
    result.lines.push_back(std::move(line));
  };
  for (const DataFile& file : set.files) {
    const std::filesystem::path path = locate(file, directory);
    if (path.empty()) {
      add(false, fmt::format("{}.gz: missing", (directory / file.path).string()));
      continue;
    }
    try {
      const std::string digest = content_sha256(path);
      if (file.sha256.empty())
        add(true, fmt::format("{}: sha256 {}, its publisher gives none", path.string(), digest));
      else
        add(digest == file.sha256, digest == file.sha256
                                       ? fmt::format("{}: as published", path.string())
                                       : fmt::format("{}: content has sha256 {}, as published {}",
                                                     path.string(), digest, file.sha256));
    } catch (const DataError& error) {
      add(false, error.what());
    }
  }
  if (set.own)
    add(true, fmt::format("{}: your own files, with nothing to compare them to", set.name));
  else if (set.files.empty())
    add(true, fmt::format("{}: generated, no files", set.name));
  return result;
}

std::string list_data_sets(const std::filesystem::path& directory) {
  std::string text;
  for (const DataSetDescription& set : data_sets()) {
    const char* const state = set.own                   ? "your own"
                              : set.files.empty()       ? "generated"
                              : present(set, directory) ? "present"
                                                        : "missing";
    text +=
        fmt::format("{:<16} {:<10} {}\n{:<27} {}\n", set.name, state, set.size, "", set.summary);
    if (!set.files.empty())
      text += fmt::format("{:<27} {}\n", "", set.origin);
  }
  return text +
         fmt::format("Files are looked for in {} (--data-dir, LIKELY_DATA).\n", directory.string());
}

}  // namespace likely
