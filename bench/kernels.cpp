// Own kernels against vendor libraries and against what the machine can do at most.
//
//   ./likely bench kernels                      all rows
//   ./likely bench kernels --filter 784 --threads 1 --json kernels.json
//   ./likely bench kernels --device cuda --precision bf16
//
// Own and vendor run in turn, in blocks of a few milliseconds; a time is the median of its blocks,
// a ratio the median of the ratios of neighbouring blocks: what disturbs the machine meets both.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/ceilings.h"
#include "bench/convolution_layers.h"
#include "bench/median.h"
#include "bench/peak.h"
#include "kernels/attention.h"
#include "kernels/choice.h"
#include "kernels/convolution.h"
#include "kernels/copy.h"
#include "kernels/cpu/isa.h"
#include "kernels/gpu.h"
#include "kernels/matmul.h"
#include "kernels/normalise.h"
#include "kernels/optimiser.h"
#include "kernels/parallel.h"
#include "kernels/pointwise.h"
#include "kernels/pool.h"
#include "kernels/random.h"
#include "kernels/softmax.h"
#include "zoo/run/machine.h"

using namespace likely;
using namespace likely::kernels;
using Json = nlohmann::ordered_json;
using Work = std::function<void()>;

namespace {

Device device;                // what is timed
DType operands = DType::f32;  // of products and convolutions

Tensor constant(const Shape& shape, double value) { return full(shape, value, DType::f32, device); }

// Random numbers: a GPU multiplies constants faster, as fewer of its wires change.
Tensor rough(const Shape& shape) {
  static const Tensor state = make_step_state({.seed = 1}, device);
  static std::uint32_t count = 0;
  return normal(shape, {state, 1, count++}, operands);
}

// A GPU works behind: what is read back from it comes after all that was launched.
void finish() {
  static const Tensor last = constant({1}, 0);
  if (device != Device::cpu)
    last.to(Device::cpu);
}

double seconds_of(const Work& work, int repeats) {
  finish();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i)
    work();
  finish();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return took.count() / repeats;
}

struct Timing {
  double own = 0, vendor = 0, ratio = 0;  // seconds, seconds, vendor / own; 0: no vendor
};

// `choose` switches between the two between blocks; null where there is nothing to switch to.
Timing time(const Work& work, const std::function<void(Source)>& choose, int rounds) {
  const auto pick = [&](Source source) {
    if (choose)
      choose(source);
  };
  pick(Source::own);
  work();
  const double once = std::max(1e-7, std::min(seconds_of(work, 1), seconds_of(work, 3)));
  const int repeats = std::max(1, static_cast<int>(4e-3 / once));
  if (choose) {
    choose(Source::vendor);
    work();
  }
  std::vector<double> own, vendor, ratio;
  for (int round = 0; round < rounds; ++round) {
    const auto measure = [&](Source source) {
      pick(source);
      (source == Source::own ? own : vendor).push_back(seconds_of(work, repeats));
    };
    const bool own_first = round % 2 == 0;
    if (own_first || !choose)
      measure(Source::own);
    if (choose) {
      measure(Source::vendor);
      if (!own_first)
        measure(Source::own);
      ratio.push_back(vendor.back() / own.back());
    }
  }
  pick(Source::own);
  return choose ? Timing{median(own), median(vendor), median(ratio)} : Timing{median(own)};
}

std::string cuda_name() {
  return opened_cuda() == Cuda::gpu ? find_gpu().name : "emulated by the CPU";
}

// ---- What the machine can do at most

// Operations a second in products of a precision; 0: not known.
double measure_peak_of([[maybe_unused]] const std::string& precision) {
  if (device == Device::cpu)
    return measure_peak();
#ifdef LIKELY_CEILINGS
  if (opened_cuda() == Cuda::gpu)
    return measure_gpu_peak(precision);
#endif
  return 0;
}

// Bytes a second, read and written, of copying 128 MiB (1 GiB on a GPU): more than caches hold.
double measure_bandwidth() {
  if (device != Device::cpu) {
    const Tensor from = Tensor::empty({1 << 30}, DType::u8, device);
    Tensor to = Tensor::empty(from.shape(), DType::u8, device);
    return 2.0 * static_cast<double>(from.bytes()) /
           time([&] { copy_into(to, from); }, nullptr, 15).own;
  }
  constexpr std::int64_t bytes = 128 << 20;
  const Tensor from = full({bytes}, 1, DType::u8), to = full({bytes}, 0, DType::u8);
  const auto copy = [&] {
    parallel_for(bytes, bytes / threads(), [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(static_cast<char*>(to.raw()) + begin, static_cast<char*>(from.raw()) + begin,
                  static_cast<std::size_t>(end - begin));
    });
  };
  return 2.0 * bytes / time(copy, nullptr, 15).own;
}

// ---- Rows

struct Bench {
  std::string filter, precision;
  int rounds;
  std::map<std::string, std::string> vendors;  // the library of a family
  double peak, bandwidth;
  Json rows = Json::array();

  bool wants(const std::string& name) const { return name.find(filter) != std::string::npos; }

  // Whether the vendor has this problem too: own serves what it has not.
  static bool serves(const std::function<void(Source)>& choose, const Work& work) {
    const auto kernel = [&](Source source) {
      choose(source);
      const LaunchLog log;
      work();
      return std::string(log.launches().back().kernel);
    };
    bool found = false;
    try {
      found = kernel(Source::vendor) != kernel(Source::own);
    } catch (const UsageError&) {  // it has nothing of this type at all
    }
    choose(Source::own);
    return found;
  }

  // Own and vendor kernels of a family in turn, by their rate of arithmetic.
  void arithmetic(const char* family, const std::string& name, const std::string& sizes,
                  const Json& problem, double flops, const Work& work) {
    if (!wants(name))
      return;
    const std::function<void(Source)> choose = [&](Source source) {
      choose_kernels(source == Source::own ? "own" : fmt::format("{}=vendor", family), device);
    };
    const bool vendor = vendors.contains(family) && serves(choose, work);
    const Timing t = time(work, vendor ? choose : nullptr, rounds);
    fmt::print("{:<26}{:>22}{:>10.1f}{:>9.1f}{:>9}{:>8}{:>9}\n", name, sizes, t.own * 1e6,
               flops / t.own / 1e9, vendor ? fmt::format("{:.1f}", flops / t.vendor / 1e9) : "-",
               vendor ? fmt::format("{:.2f}", t.ratio) : "-",
               peak > 0 ? fmt::format("{:.0f} %", 100 * flops / t.own / peak) : "-");
    std::fflush(stdout);
    rows.push_back({{"name", name},
                    {"sizes", sizes},
                    {"problem", problem},
                    {"own_us", t.own * 1e6},
                    {"own_gflops", flops / t.own / 1e9},
                    {"vendor_gflops", vendor ? Json(flops / t.vendor / 1e9) : Json()},
                    {"ratio", vendor ? Json(t.ratio) : Json()},
                    {"share_of_peak", peak > 0 ? Json(flops / t.own / peak) : Json()}});
  }

  void product(const std::string& name, std::int64_t m, std::int64_t n, std::int64_t k,
               const Tensor& a, const Tensor& b) {
    const Tensor out = Tensor::empty({m, n}, operands, device);
    arithmetic("matmul", name, fmt::format("{}x{}x{}", m, n, k), {{"m", m}, {"n", n}, {"k", k}},
               2.0 * m * n * k, [&] { matmul(a, b, {}, {out}); });
  }

  // A layer's convolution and its two gradients.
  void convolutions(const ConvolutionLayer& l) {
    const Tensor x = rough({l.batch, l.image.rows, l.image.columns, l.in});
    const Tensor w = rough({l.out, l.kernel.rows, l.kernel.columns, l.in / l.options.groups});
    const Tensor y = convolution(x, w, l.options), g = contiguous(y);
    const std::string sizes =
        fmt::format("{}x{}x{} {} {}x{}{} {}", l.batch, l.image.rows, l.image.columns, l.in,
                    l.kernel.rows, l.kernel.columns, l.options.stride.rows == 2 ? "/2" : "", l.out);
    const double flops = 2.0 * y.numel() * (w.numel() / l.out);
    const Padding& padding = l.options.padding;
    const auto row = [&](const char* direction, const Work& work) {
      const Json problem{{"direction", direction},
                         {"batch", l.batch},
                         {"image", {l.image.rows, l.image.columns}},
                         {"in", l.in},
                         {"out", l.out},
                         {"kernel", {l.kernel.rows, l.kernel.columns}},
                         {"stride", {l.options.stride.rows, l.options.stride.columns}},
                         {"padding", {padding.top, padding.bottom, padding.left, padding.right}}};
      arithmetic("convolution", fmt::format("{} {}", l.workload, direction), sizes, problem, flops,
                 work);
    };
    row("forward", [&] { convolution(x, w, l.options, {}, {y}); });
    row("data gradient", [&] { transposed_convolution(g, w, l.options, l.image, {}, {x}); });
    row("weight gradient", [&] { convolution_weight(x, g, l.kernel, l.options, {w}); });
  }

  // A linear layer's product and its two gradients, weights [out, in].
  void layer(const std::string& name, std::int64_t batch, std::int64_t in, std::int64_t out) {
    const Tensor x = rough({batch, in}), w = rough({out, in}), g = rough({batch, out});
    product(name + " forward", batch, out, in, x, w.transpose());
    product(name + " data gradient", batch, in, out, g, w);
    product(name + " weight gradient", out, in, batch, g.transpose(), x);
  }

  void memory(const std::string& name, double bytes, const Work& work) {
    if (!wants(name))
      return;
    const Timing t = time(work, nullptr, rounds);
    fmt::print("{:<41}{:>10.1f}{:>9.1f}{:>7.0f} %\n", name, t.own * 1e6, bytes / t.own / 1e9,
               100 * bytes / t.own / bandwidth);
    std::fflush(stdout);
    rows.push_back({{"name", name},
                    {"gigabytes_per_second", bytes / t.own / 1e9},
                    {"share_of_copy", bytes / t.own / bandwidth}});
  }

  template <class F>
  void formula(const F& f, std::int64_t count) {
    const Tensor x = constant({count}, 0.5);
    memory(fmt::format("{} of {} f32", F::name, count), 8.0 * count,
           [&] { pointwise(call(f), {x}); });
  }

  // Of the rows from `first` on, of one workload; 0 where none has a vendor.
  double geometric_mean(std::size_t first, const std::string& workload = "") const {
    double sum = 0;
    int count = 0;
    for (std::size_t i = first; i < rows.size(); ++i)
      if (rows[i]["name"].get<std::string>().starts_with(workload) && rows[i].contains("ratio") &&
          rows[i]["ratio"].is_number()) {
        sum += std::log(rows[i]["ratio"].get<double>());
        ++count;
      }
    return count ? std::exp(sum / count) : 0;
  }
};

void heading(const std::string& what, const char* sizes) {
  fmt::print("{:<26}{:>22}{:>10}{:>9}{:>9}{:>8}{:>9}\n", what, sizes, "own us", "own GF/s",
             "vendor", "ratio", "of peak");
}

void products(Bench& bench) {
  heading("product, " + bench.precision, "m x n x k");
  for (const std::int64_t n : {256, 512, 1024, 2048, 4096, 8192})
    if (n <= 2048 || device != Device::cpu)
      bench.layer(std::to_string(n), n, n, n);
  bench.layer("vae 784-500", 128, 784, 500);
  bench.layer("vae 500-20", 128, 500, 20);
  bench.layer("vae 20-500", 128, 20, 500);
  bench.layer("vae 500-784", 128, 500, 784);
  if (const double mean = bench.geometric_mean(0); mean > 0)
    fmt::print("geometric mean of vendor time / own time: {:.3f}\n", mean);
}

void convolutions(Bench& bench) {
  const std::size_t first = bench.rows.size();
  fmt::print("\n");
  heading("convolution, " + bench.precision, "image, in, kernel, out");
  for (const ConvolutionLayer& layer : convolution_layers)
    bench.convolutions(layer);
  if (const double mean = bench.geometric_mean(first); mean > 0)
    fmt::print("geometric mean of vendor time / own time: {:.3f}\n", mean);
  std::string before;
  for (const ConvolutionLayer& layer : convolution_layers)
    if (const double mean = bench.geometric_mean(first, layer.workload);
        mean > 0 && layer.workload != before) {
      fmt::print("  {}: {:.3f}\n", layer.workload, mean);
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
  fmt::print("\n");
  heading("attention, " + bench.precision, "shape");
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
  fmt::print("\n{:<41}{:>10}{:>9}{:>9}\n", "pass over memory, own", "us", "GB/s", "of copy");
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
                 [&] { normalise(x, moments(x, Over::batch), scale, scale, how); });
    bench.memory(fmt::format("and gradients {}", shape), 7 * bytes, [&] {
      const NormaliseSums sums = normalise_sums(g, x, y, by, scale, scale, how);
      normalise_data(g, x, y, by, scale, scale, sums, how);
    });
  }
  for (const Shape& shape : {Shape{64, 32, 32, 32}, Shape{64, 16, 16, 64}, Shape{8, 32, 32, 128}}) {
    const std::int64_t group = 4;
    const Tensor x = rough(shape), g = rough(shape), scale = constant({shape[-1]}, 1);
    const Normalise how{1e-5, Activation::silu};
    const Moments by = moments(x, Over::image, group);
    const double bytes = static_cast<double>(x.bytes());
    bench.memory(fmt::format("group norm, silu {}", shape), 3 * bytes,
                 [&] { normalise(x, moments(x, Over::image, group), scale, scale, how); });
    bench.memory(fmt::format("and gradients {}", shape), 5 * bytes, [&] {
      const NormaliseSums sums = normalise_sums(g, x, {}, by, scale, scale, how);
      normalise_data(g, x, {}, by, scale, scale, sums, how);
    });
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

int run(int argc, char** argv) {
  CLI::App app{"Own kernels against vendor libraries and against the machine's limits."};
  app.name("likely bench kernels");
  std::string json, filter, where = "cpu", precision = "f32";
  int count = threads(), rounds = 15;
  app.add_option("--filter", filter, "only rows whose name contains this");
  app.add_option("--device", where, "cpu, or cuda: the GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", precision, "operands of products and convolutions")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}))
      ->capture_default_str();
  app.add_option("--threads", count, "threads of both")->check(CLI::Range(1, 1024));
  app.add_option("--rounds", rounds, "blocks of each that are timed in turn")
      ->check(CLI::Range(1, 1000));
  app.add_option("--json", json, "write the rows and the machine's limits to this file");
  CLI11_PARSE(app, argc, argv);
  set_threads(count);

  device = device_named(where);
  if (precision == "tf32")
    choose_products(Products::tf32);

  const bool on_cpu = device == Device::cpu;
  std::map<std::string, std::string> vendors;
  std::string named;
  for (const VendorLibrary& library : vendor_libraries(device))
    if (library.problem.empty()) {
      vendors[library.family] = library.library;
      named +=
          fmt::format("{}{} by {}", named.empty() ? "" : ", ", library.family, library.library);
    }
  const std::string level = on_cpu ? isa() == Isa::v4 ? "x86-64-v4" : "x86-64-v3" : cuda_name();
  Bench bench{filter, precision, rounds, vendors, measure_peak_of(precision), measure_bandwidth()};
  if (precision == "bf16")
    operands = DType::bf16;
  fmt::print("{}, {}; {}{:.1f} GB/s copied; vendor: {}\n\n",
             on_cpu ? fmt::format("{} threads", count) : "cuda", level,
             bench.peak > 0
                 ? fmt::format("at most {:.0f} GFLOP/s in {}, ", bench.peak / 1e9, precision)
                 : "",
             bench.bandwidth / 1e9, named.empty() ? "none" : named);
  products(bench);
  convolutions(bench);
  attentions(bench);
  passes(bench);
  if (on_cpu)
    fmt::print(
        "\n--device cuda prints the same of a GPU, with --precision f32, tf32 or bf16: own kernels "
        "beside cuBLASLt and cuDNN, and their share of its multiply-adds and of its copy.\n");
  if (!json.empty()) {
    const double mean = bench.geometric_mean(0);
    const Json all = {{"device", where},
                      {"precision", precision},
                      {"threads", count},
                      {"processor", level},
                      {"peak_gflops", bench.peak > 0 ? Json(bench.peak / 1e9) : Json()},
                      {"copy_gigabytes_per_second", bench.bandwidth / 1e9},
                      {"vendor", vendors},
                      {"geometric_mean", mean > 0 ? Json(mean) : Json()},
                      {"rows", bench.rows}};
    std::ofstream file(json);
    file << all.dump(2) << '\n';
    require<DataError>(static_cast<bool>(file.flush()),
                       "bench: cannot write {}: {}. Check the folder and the space left.", json,
                       std::strerror(errno));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const UsageError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
