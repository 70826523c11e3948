#include "zoo/run/program.h"

#include "kernels/choice.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "zoo/data/catalogue.h"
#include "zoo/run/machine.h"

namespace likely {

Device apply_to_program(const Configuration& configuration) {
  const Device device = device_named(configuration.settings.text("device"));
  const std::string& precision = configuration.settings.text("precision");
  const bool tf32 = precision == "tf32" && device.kind == Device::cuda;
  require<UsageError>(
      precision == "f32" || tf32, "precision: {} computes in f32: got {}. Use --precision f32.",
      device.kind == Device::cuda ? "cuda, where not in tf32," : "the CPU", precision);
  kernels::choose_products(tf32 ? kernels::Products::tf32 : kernels::Products::f32);
  kernels::set_threads(static_cast<int>(configuration.settings.integer("threads")));
  kernels::choose_kernels(configuration.settings.text("kernels"), device);
  return device;
}

namespace {

std::filesystem::path data_directory(const Settings& settings) {
  const std::string& given = settings.text("data-dir");
  return given.empty() ? default_data_directory() : std::filesystem::path(given);
}

}  // namespace

Configuration with_absolute_folders(Configuration configuration) {
  const DataSetDescription& set = find_data_set(configuration.data());
  if (set.own || !set.files.empty())
    configuration.settings.set(
        "data-dir", std::filesystem::absolute(data_directory(configuration.settings)).string());
  return configuration;
}

std::unique_ptr<DataSet> data_of(const Configuration& configuration, Device device) {
  const Settings& settings = configuration.settings;
  DataOptions options;
  options.directory = data_directory(settings);
  if (settings.text("binarisation") != "usual")
    options.binarisation = binarisation_of(settings.text("binarisation"));
  options.seed = static_cast<std::uint64_t>(settings.integer("data-seed"));
  options.device = device;
  std::unique_ptr<DataSet> data = make_data_set(configuration.data(), options);
  if (settings.text("augment") == "mirror")
    data->mirror_half();
  return data;
}

}  // namespace likely
