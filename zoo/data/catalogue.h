// The data sets by name: what there is, where its files lie, and whether they are there.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>

#include "zoo/data/data_set.h"

namespace likely {

// How grey values become black and white.
enum class Binarisation {
  sampled,      // white with probability value / 255, anew whenever a training image is shown
  thresholded,  // white from one half on
  fixed,        // one published draw: Larochelle's binarized MNIST
  none          // grey as published
};
const char* name_of(Binarisation binarisation);
Binarisation binarisation_of(const std::string& name);  // UsageError naming the nearest

struct DataOptions {
  std::filesystem::path directory = {};           // holds one folder for each set that has files
  std::optional<Binarisation> binarisation = {};  // none: the set's usual one
  std::uint64_t seed = 17;  // of validation and test images, and of the binarisation's name
  Device device = {};       // cpu; meta: the same tensors without files or memory
};

// $LIKELY_DATA, else ./data.
std::filesystem::path default_data_directory();

struct DataFile {
  std::string path;    // inside the data directory, without ".gz": either form is read
  Shape shape;         // of its values, bytes
  std::string sha256;  // of the uncompressed file; empty where its publisher gives none
};

// Where a file is, gzip or raw; empty where it is in neither form.
std::filesystem::path locate(const DataFile& file, const std::filesystem::path& directory);

struct DataSetDescription {
  std::string name;     // "mnist"
  std::string size;     // "50000 + 10000 + 10000 images of 28x28"
  std::string summary;  // what it shows, and what is known of it
  std::string origin;   // publisher and licence
  std::vector<DataFile> files;
  std::function<std::unique_ptr<DataSet>(const DataOptions&)> make;
  bool own = false;  // of the user's own files, under names that nobody else knows
};

const std::vector<DataSetDescription>& data_sets();
const DataSetDescription& find_data_set(const std::string& name);  // UsageError naming the nearest
std::unique_ptr<DataSet> make_data_set(const std::string& name, const DataOptions& options);

// One line for each of its files; `holds` where all are there and as published.
struct Verification {
  bool holds = true;
  std::vector<std::string> lines;
};
Verification verify(const DataSetDescription& set, const std::filesystem::path& directory);
bool present(const DataSetDescription& set, const std::filesystem::path& directory);
std::string list_data_sets(const std::filesystem::path& directory);  // the text of `data list`

}  // namespace likely
