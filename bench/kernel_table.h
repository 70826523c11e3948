// What is timed on a device, how, and the rows of a table that it becomes.
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/ceilings.h"
#include "bench/convolution_layers.h"
#include "bench/median.h"
#include "bench/peak.h"
#include "kernels/choice.h"
#include "kernels/convolution.h"
#include "kernels/copy.h"
#include "kernels/gpu.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "kernels/pointwise.h"
#include "kernels/random.h"
#include "tensor/streams.h"

namespace likely::kernels {

using Json = nlohmann::ordered_json;
using Work = std::function<void()>;

inline Device device;                // what is timed; meta: nothing, the rows are listed
inline bool on_gpu = false;          // what is timed, or would be
inline DType operands = DType::f32;  // of products and convolutions

inline Tensor constant(const Shape& shape, double value) {
  return full(shape, value, DType::f32, device);
}

// Random numbers: a GPU multiplies constants faster, as fewer of its wires change.
inline Tensor rough(const Shape& shape) {
  const Tensor state = make_step_state({.seed = 1}, device);
  static std::uint32_t count = 0;
  return normal(shape, {state, 1, count++}, operands);
}

// A GPU works behind: what is read back from it comes after all that was launched.
inline void finish() {
  static const Tensor last = constant({1}, 0);
  if (device != Device::cpu)
    last.to(Device::cpu);
}

inline double seconds_of(const Work& work, int repeats) {
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
inline Timing time(const Work& work, const std::function<void(Source)>& choose, int rounds) {
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

inline std::string cuda_name() {
  return opened_cuda() == Cuda::gpu ? find_gpu().name : "emulated by the CPU";
}

// ---- What the machine can do at most

// Operations a second in products of a precision; 0: not known.
inline double measure_peak_of([[maybe_unused]] const std::string& precision) {
  if (device == Device::cpu)
    return measure_peak();
#ifdef LIKELY_CEILINGS
  if (opened_cuda() == Cuda::gpu)
    return measure_gpu_peak(precision);
#endif
  return 0;
}

// Bytes a second, read and written, of copying 128 MiB (1 GiB on a GPU): more than caches hold.
inline double measure_bandwidth() {
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
  std::function<void()> save = {};  // what there is, after each row
  Json rows = Json::array();
  std::string title = {};               // of the rows that follow, printed with the first of them
  std::vector<std::string> names = {};  // of all rows, where they are listed

  // Prints a row: one that was measured before, or what `measure` adds to `row` now. One that fails
  // is kept too, with its error: it may have broken the device for this process.
  void add(Json row, const std::function<void(Json&)>& measure,
           const std::function<void(const Json&)>& print) {
    const std::string name = row["name"];
    if (device == Device::meta)
      names.push_back(name);
    if (device == Device::meta || name.find(filter) == std::string::npos)
      return;
    to_stdout("{}", std::exchange(title, ""));
    const auto same = [&](const Json& other) {
      return other["name"] == row["name"] && other.value("sizes", "") == row.value("sizes", "");
    };
    const auto before = std::find_if(rows.begin(), rows.end(), same);
    if (before == rows.end()) {
      try {
        measure(row);
      } catch (const std::exception& error) {
        rows.push_back(
            {{"name", row["name"]}, {"sizes", row.value("sizes", "")}, {"error", error.what()}});
        save();
        throw;
      }
      rows.push_back(row);
      save();
    } else {
      row = *before;
    }
    if (row.contains("error"))
      to_stdout("{:<26}{:>22}  {}\n", name, row.value("sizes", ""),
                row["error"].get<std::string>());
    else
      print(row);
  }

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

  // Own kernels of a family and the fastest of the vendor's in turn, by their rate of arithmetic.
  void arithmetic(const char* family, const std::string& name, const std::string& sizes,
                  const Json& problem, double flops, const Work& work) {
    const auto measure = [&](Json& row) {
      const std::function<void(Source)> choose = [&](Source source) {
        choose_kernels(source == Source::own ? "own" : fmt::format("{}=fastest-vendor", family),
                       device);
      };
      const bool vendor = vendors.contains(family) && serves(choose, work);
      const Timing t = time(work, vendor ? choose : nullptr, rounds);
      row["own_us"] = t.own * 1e6;
      row["own_gflops"] = flops / t.own / 1e9;
      row["vendor_gflops"] = vendor ? Json(flops / t.vendor / 1e9) : Json();
      row["ratio"] = vendor ? Json(t.ratio) : Json();
      row["share_of_peak"] = peak > 0 ? Json(flops / t.own / peak) : Json();
    };
    add({{"name", name}, {"sizes", sizes}, {"family", family}, {"problem", problem}}, measure,
        [](const Json& row) {
          const auto cell = [&](const char* key, const char* format, double scale = 1) {
            return row[key].is_number()
                       ? fmt::format(fmt::runtime(format), scale * row[key].get<double>())
                       : "-";
          };
          to_stdout("{:<26}{:>22}{:>10}{:>9}{:>9}{:>8}{:>9}\n", row["name"].get<std::string>(),
                    row["sizes"].get<std::string>(), cell("own_us", "{:.1f}"),
                    cell("own_gflops", "{:.1f}"), cell("vendor_gflops", "{:.1f}"),
                    cell("ratio", "{:.2f}"), cell("share_of_peak", "{:.0f} %", 100));
        });
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
    const auto measure = [&](Json& row) {
      const Timing t = time(work, nullptr, rounds);
      row["own_us"] = t.own * 1e6;
      row["gigabytes_per_second"] = bytes / t.own / 1e9;
      row["share_of_copy"] = bytes / t.own / bandwidth;
    };
    add({{"name", name}}, measure, [](const Json& row) {
      to_stdout("{:<41}{:>10.1f}{:>9.1f}{:>7.0f} %\n", row["name"].get<std::string>(),
                row["own_us"].get<double>(), row["gigabytes_per_second"].get<double>(),
                100 * row["share_of_copy"].get<double>());
    });
  }

  template <class F>
  void formula(const F& f, std::int64_t count) {
    const Tensor x = constant({count}, 0.5);
    memory(fmt::format("{} of {} f32", F::name, count), 8.0 * count,
           [&] { pointwise(call(f), {x}); });
  }

  // Of the rows of a family, or of one workload of it; 0 where none has a vendor.
  double geometric_mean(const std::string& family, const std::string& workload = "") const {
    double sum = 0;
    int count = 0;
    for (const Json& row : rows)
      if (row.value("family", "").starts_with(family) &&
          row["name"].get<std::string>().starts_with(workload) && row.contains("ratio") &&
          row["ratio"].is_number()) {
        sum += std::log(row["ratio"].get<double>());
        ++count;
      }
    return count ? std::exp(sum / count) : 0;
  }
};

}  // namespace likely::kernels
