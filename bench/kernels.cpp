// Own kernels against vendor libraries and against what the machine can do at most.
//
//   ./likely bench kernels                      all rows
//   ./likely bench kernels --filter 784 --threads 1 --json kernels.json
//   ./likely bench kernels --device cuda --precision bf16
//
// The vendor's is the fastest plan of its library that gives own's result. Own and vendor run in
// turn, in blocks of a few milliseconds; a time is the median of its blocks, a ratio the median of
// the ratios of neighbouring blocks: what disturbs the machine meets both.
#include <optional>
#include <sstream>

#include "bench/command.h"
#include "bench/kernel_table.h"
#include "kernels/attention.h"
#include "kernels/cpu/isa.h"
#include "kernels/normalise.h"
#include "kernels/optimiser.h"
#include "kernels/pool.h"
#include "kernels/softmax.h"
#include "tensor/file.h"
#include "tensor/json.h"
#include "tensor/nearest.h"
#include "zoo/run/output_place.h"

using namespace likely;
using namespace likely::kernels;

namespace {

std::string heading(const std::string& what, const char* sizes) {
  return fmt::format("\n{:<26}{:>22}{:>10}{:>9}{:>9}{:>8}{:>9}\n", what, sizes, "own us",
                     "own GF/s", "vendor", "ratio", "of peak");
}

void products(Bench& bench) {
  bench.title = heading("product, " + bench.precision, "m x n x k");
  for (const std::int64_t n : {256, 512, 1024, 2048, 4096, 8192})
    if (n <= 2048 || on_gpu)
      bench.layer(std::to_string(n), n, n, n);
  bench.layer("vae 784-500", 128, 784, 500);
  bench.layer("vae 500-20", 128, 500, 20);
  bench.layer("vae 20-500", 128, 20, 500);
  bench.layer("vae 500-784", 128, 500, 784);
  if (const double mean = bench.geometric_mean("matmul"); mean > 0)
    to_stdout("geometric mean of vendor time / own time: {:.3f}\n", mean);
}

void convolutions(Bench& bench) {
  bench.title = heading("convolution, " + bench.precision, "image, in, kernel, out");
  for (const ConvolutionLayer& layer : convolution_layers)
    bench.convolutions(layer);
  if (const double mean = bench.geometric_mean("convolution"); mean > 0)
    to_stdout("geometric mean of vendor time / own time: {:.3f}\n", mean);
  std::string before;
  for (const ConvolutionLayer& layer : convolution_layers)
    if (const double mean = bench.geometric_mean("convolution", layer.workload);
        mean > 0 && layer.workload != before) {
      to_stdout("  {}: {:.3f}\n", layer.workload, mean);
      before = layer.workload;
    }
}

// Of images of 8 x 8 and 16 x 16 positions, and of text.
void attentions(Bench& bench) {
  struct Row {
    const char* name;
    Shape shape;  // [batch, positions, heads, channels]
    bool causal;
  };
  bench.title = heading("attention, " + bench.precision, "shape");
  for (const auto& [name, shape, causal] : {Row{"attention 8x8", {64, 64, 1, 64}, false},
                                            Row{"attention 16x16", {8, 256, 1, 256}, false},
                                            Row{"attention causal", {16, 256, 6, 64}, true}}) {
    const Tensor q = rough(shape), k = rough(shape), v = rough(shape), g = rough(shape);
    const AttentionOptions how{causal};
    const Attended y = attention(q, k, v, how);
    const auto row = [&](const char* direction, const Work& work) {
      double flops;
      {
        const LaunchLog log;
        work();
        flops = log.flops();
      }
      bench.arithmetic("attention", fmt::format("{} {}", name, direction), fmt::format("{}", shape),
                       {{"direction", direction}, {"causal", causal}}, flops, work);
    };
    row("forward", [&] { attention(q, k, v, how); });
    row("gradients", [&] { attention_gradients(g, y, q, k, v, how); });
  }
}

void passes(Bench& bench) {
  bench.title =
      fmt::format("\n{:<41}{:>10}{:>9}{:>9}\n", "pass over memory, own", "us", "GB/s", "of copy");
  for (const std::int64_t count : {128 * 784, 16 << 20}) {
    bench.formula(Exp{}, count);
    bench.formula(Tanh{}, count);
    bench.formula(Sigmoid{}, count);
    bench.formula(Softplus{}, count);
  }
  for (const std::int64_t columns : {10, 1000}) {
    const std::int64_t rows = 4000000 / columns;
    const Tensor x = constant({rows, columns}, 0.5);
    bench.memory(fmt::format("softmax of [{}, {}] f32", rows, columns), 8.0 * rows * columns,
                 [&] { softmax(x, 1); });
  }
  for (const Shape& shape : {Shape{64, 64, 64, 64}, Shape{64, 8, 8, 512}}) {
    const Tensor x = constant(shape, 0.5), y = constant(shape, 0.25), g = constant(shape, 2);
    const Tensor scale = constant({shape[-1]}, 1);
    const Normalise how{1e-5, Activation::relu};
    const Moments by = moments(x, Over::batch);
    const double bytes = static_cast<double>(x.bytes());
    bench.memory(fmt::format("batch norm, relu {}", shape), 3 * bytes,
                 [&] { normalised(x, scale, scale, how); });
    bench.memory(fmt::format("and gradients {}", shape), 7 * bytes,
                 [&] { normalise_gradients(g, x, y, by, scale, scale, how); });
  }
  for (const Shape& shape : {Shape{64, 32, 32, 32}, Shape{64, 16, 16, 64}, Shape{8, 32, 32, 128}}) {
    const std::int64_t group = 4;
    const Tensor x = rough(shape), g = rough(shape), scale = constant({shape[-1]}, 1);
    const Normalise how{1e-5, Activation::silu};
    const Moments by = moments(x, Over::image, group);
    const double bytes = static_cast<double>(x.bytes());
    bench.memory(fmt::format("group norm, silu {}", shape), 2 * bytes,
                 [&] { normalised(x, scale, scale, how, Over::image, group); });
    bench.memory(fmt::format("and gradients {}", shape), 3 * bytes,
                 [&] { normalise_gradients(g, x, {}, by, scale, scale, how); });
  }
  const Tensor image = constant({64, 32, 32, 64}, 0.5);
  bench.memory(fmt::format("max pooling by 2 of {}", image.shape()),
               1.5 * static_cast<double>(image.bytes()), [&] { max_pool(image, {}); });
  for (const std::int64_t count : {820000, 16 << 20}) {
    const auto flat = [&](double value) { return constant({count}, value); };
    const FlatState state{flat(0.1), flat(0.01), flat(0), flat(0), full({1}, 0, DType::i64, device),
                          {},        0,          0,       {}};
    const Tensor step = make_step_state({.seed = 1, .rate = 1e-3f}, device);
    bench.memory(fmt::format("Adam over {} f32", count), 28.0 * count,
                 [&] { adam({}, {}, state, step); });
    bench.memory(fmt::format("normal numbers, {} f32", count), 4.0 * count, [&] {
      normal({count}, {step, 1, 0});
    });
  }
}

void all_rows(Bench& bench) {
  products(bench);
  convolutions(bench);
  attentions(bench);
  passes(bench);
}

// A filter that no row's name contains measures nothing for minutes. Names are listed on `meta`,
// where nothing is computed.
void check_filter(const std::string& filter) {
  const Device timed = std::exchange(device, Device::meta);
  Bench list{};
  all_rows(list);
  device = timed;
  const auto containing = [&](const std::string& part) {
    std::vector<std::string> found;
    for (const std::string& name : list.names)
      if (name.find(part) != std::string::npos)
        found.push_back(name);
    return found;
  };
  if (!containing(filter).empty())
    return;
  std::vector<std::string> words;
  for (const std::string& name : list.names) {
    std::istringstream text(name);
    for (std::string word; text >> word;)
      words.push_back(word);
  }
  std::vector<std::string> near = containing(nearest(filter, words));
  near.resize(std::min<std::size_t>(near.size(), 3));
  fail<UsageError>("bench kernels: --filter {}: no row's name contains it. The nearest are \"{}\".",
                   filter, joined(near, "\", \""));
}

// The rows that a file has, none where there is no file. It must be of what is timed now.
Json rows_before(const std::string& path, const Json& table) {
  if (!std::filesystem::exists(path))
    return Json::array();
  const std::string from = "bench: " + path;
  const Json before = parse_json(read_file(path), from);
  for (const auto& [key, value] : table.items())
    require<UsageError>(before.is_object() && before.value(key, Json()) == value,
                        "bench: {} is not of {} {}. Leave out --resume, or name another file.",
                        path, key, value.dump());
  return value_in(before, "rows", from);
}

struct Options {
  std::string json, filter, where = "cpu", precision = "f32";
  int count = threads(), rounds = 15;
  bool resume = false;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("--filter", o.filter, "only rows whose name contains this");
  app.add_option("--device", o.where, "cpu, or cuda: the GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", o.precision, "operands of products and convolutions")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}))
      ->capture_default_str();
  app.add_option("--threads", o.count, "threads of both")->check(CLI::Range(1, 1024));
  app.add_option("--rounds", o.rounds, "blocks of each that are timed in turn")
      ->check(CLI::Range(1, 1000));
  auto* const file = app.add_option(
      "--json", o.json, "write the rows and the machine's limits to this file, row by row");
  app.add_flag("--resume", o.resume, "keep the rows that this file has, and measure the others")
      ->needs(file);
}

void run(const Options& o) {
  std::optional<OutputPlace> place;
  if (!o.json.empty())
    place.emplace("bench kernels: --json", o.json);
  set_threads(o.count);
  device = timed_device(o.where);
  on_gpu = device != Device::cpu;
  check_filter(o.filter);
  if (o.precision == "tf32")
    choose_products(Products::tf32);
  std::map<std::string, std::string> vendors;
  std::string named;
  for (const VendorLibrary& library : vendor_libraries(device))
    if (library.problem.empty()) {
      vendors[library.family] = library.library;
      named +=
          fmt::format("{}{} by {}", named.empty() ? "" : ", ", library.family, library.library);
    }
  const std::string level = !on_gpu ? isa() == Isa::v4 ? "x86-64-v4" : "x86-64-v3" : cuda_name();
  Json table{{"device", o.where},
             {"precision", o.precision},
             {"threads", o.count},
             {"processor", level},
             {"vendor", vendors}};
  Bench bench{o.filter,           o.precision, o.rounds, vendors, measure_peak_of(o.precision),
              measure_bandwidth()};
  if (o.resume)
    bench.rows = rows_before(o.json, table);
  table["peak_gflops"] = bench.peak > 0 ? Json(bench.peak / 1e9) : Json();
  table["copy_gigabytes_per_second"] = bench.bandwidth / 1e9;
  bench.save = [&] {
    if (!place)
      return;
    const double mean = bench.geometric_mean("");
    table["geometric_mean"] = mean > 0 ? Json(mean) : Json();
    table["rows"] = bench.rows;
    place->write(table.dump(2) + '\n');
  };
  if (o.precision == "bf16")
    operands = DType::bf16;
  to_stdout("{}, {}; {}{:.1f} GB/s copied; vendor: {}\n",
            on_gpu ? "cuda" : fmt::format("{} threads", o.count), level,
            bench.peak > 0
                ? fmt::format("at most {:.0f} GFLOP/s in {}, ", bench.peak / 1e9, o.precision)
                : "",
            bench.bandwidth / 1e9, named.empty() ? "none" : named);
  all_rows(bench);
  if (!on_gpu)
    to_stdout(
        "\n--device cuda prints the same of a GPU, with --precision f32, tf32 or bf16: own kernels "
        "beside cuBLASLt and cuDNN, and their share of its multiply-adds and of its copy.\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Own kernels against vendor libraries and against the machine's limits.",
               "likely bench kernels"};
  Options o;
  add_options(app, o);
  return run_command(app, argc, argv, [&] { run(o); });
}
