// Convolutions on the CPU: as products over pixels, shared among threads; other types plainly.
#include "kernels/cpu/isa/convolution.h"

#include <algorithm>

#include "kernels/convolution_parts.h"
#include "kernels/cpu/convolution_plain.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

// In how many shares the pixels of a weight gradient are summed. It depends on the shape alone:
// they are small enough for several threads and long sums, few enough to be added quickly.
std::int64_t shares_of(const ConvolutionProblem& p) {
  constexpr std::int64_t pixels_worth_a_share = 2048, floats_at_most = 1 << 20;
  const std::int64_t pixels = p.batch * p.output.rows * p.output.columns;
  const std::int64_t weights = std::max<std::int64_t>(1, weight_count(p));
  return std::clamp<std::int64_t>(std::min(pixels / pixels_worth_a_share, floats_at_most / weights),
                                  1, 16);
}

const ConvolutionTable& table() {
  static const ConvolutionTable& chosen =
      for_isa(isa_v3::convolution_table, isa_v4::convolution_table);
  return chosen;
}

std::int64_t pieces(std::int64_t n, std::int64_t piece) { return (n + piece - 1) / piece; }

const float* offset(const void* base, std::int64_t floats) {
  return base ? static_cast<const float*>(base) + floats : nullptr;
}

// ---- Forward and data gradient

// The share of an axis' taps that meet the image.
double share_inside(const GatherAxis& axis, std::int64_t extent) {
  std::int64_t inside = 0;
  for (std::int64_t a = 0; a < axis.count; ++a)
    for (std::int64_t tap = 0; tap < axis.taps; ++tap) {
      const std::int64_t place = a * axis.stride + axis.offset + tap * axis.apart;
      inside += place >= 0 && place < extent;
    }
  return static_cast<double>(inside) / static_cast<double>(axis.count * axis.taps);
}

// Which order pays: lines where tiles would be nearly empty; positions for many images and not too
// few channels under much padding.
GatherOrder order_of(const Gather& of, std::int64_t batch, std::int64_t columns) {
  constexpr double worthwhile = 0.95;
  if (of.length() == 0)
    return GatherOrder::images;
  if (columns <= few_channels && of.columns.stride == 1 && of.columns.count >= 12 &&
      table().lines_fit(of))
    return GatherOrder::lines;
  if (batch >= 8 && of.channels >= 16 &&
      share_inside(of.rows, of.height) * share_inside(of.columns, of.width) < worthwhile)
    return GatherOrder::positions;
  return GatherOrder::images;
}

// The products of a problem: of every phase and group.
struct Parts {
  std::vector<PixelProduct> products;
  std::vector<std::int64_t> groups;  // of each product
  std::int64_t columns;              // of the results
  std::int64_t packed;               // floats of all weights in panels
};

Parts parts_of(const ConvolutionProblem& p) {
  const bool data = p.direction == Direction::data;
  const std::int64_t pitch = data ? p.in : p.out, columns = pitch / p.groups;
  const Pixels size = data ? p.image : p.output;
  Parts parts{{}, {}, columns, 0};
  for (std::int64_t group = 0; group < p.groups; ++group)
    for (const Gather& gather : gathers_of(p, group)) {
      parts.products.push_back({gather, p.batch, order_of(gather, p.batch, columns), nullptr,
                                const_cast<float*>(offset(data ? p.x : p.y, group * columns)),
                                size.rows, size.columns, pitch, p.add,
                                offset(p.bias, group * columns), p.activation, p.slope});
      parts.groups.push_back(group);
      parts.packed +=
          gather.length() * pieces(columns, table().panel_columns) * table().panel_columns;
    }
  return parts;
}

// One panel of the weights that a product reads.
void pack(const ConvolutionProblem& p, const PixelProduct& product, std::int64_t group,
          Range columns, float* panel) {
  const Gather& left = product.left;
  const std::int64_t in = p.in / p.groups, taps = p.kernel.rows * p.kernel.columns;
  const float* const w = offset(p.w, group * (p.out / p.groups) * taps * in);
  if (p.direction == Direction::forward)
    return table().pack(w + columns.begin * taps * in, 1, taps * in, left.length(), columns.count,
                        panel);
  for (std::int64_t r = 0; r < left.rows.taps; ++r)
    for (std::int64_t c = 0; c < left.columns.taps; ++c) {
      const std::int64_t row = left.rows.kernel + r * left.rows.kernel_step;
      const std::int64_t column = left.columns.kernel + c * left.columns.kernel_step;
      table().pack(w + (row * p.kernel.columns + column) * in + columns.begin, taps * in, 1,
                   left.channels, columns.count, panel);
      panel += left.channels * table().panel_columns;
    }
}

// How the results of one product are cut: bits do not depend on it.
struct Cut {
  std::int64_t pixels, columns;  // of a piece
  std::int64_t down, across;     // pieces
};

Cut cut_for(const PixelProduct& product, std::int64_t columns, std::int64_t products, int threads) {
  constexpr std::int64_t strips_at_once = 16;  // each reads the panels again
  const std::int64_t rows = table().strip_rows, all = product.left.pixels_of(product.batch);
  const std::int64_t unit = product.order == GatherOrder::positions ? product.batch
                            : product.order == GatherOrder::lines   ? product.left.columns.count
                                                                    : rows;  // never cut
  const std::int64_t units = pieces(all, unit), panels = pieces(columns, table().panel_columns);
  const std::int64_t wanted = threads == 1 ? 1 : pieces(4 * threads, products);
  const std::int64_t down =
      std::min(units, std::max(pieces(units * pieces(unit, rows), strips_at_once), wanted));
  const std::int64_t across = std::min(panels, pieces(wanted, down));
  Cut cut;
  cut.pixels = pieces(units, down) * unit;
  cut.columns = pieces(panels, across) * table().panel_columns;
  cut.down = pieces(all, cut.pixels);
  cut.across = pieces(columns, cut.columns);
  return cut;
}

void pixels(const ConvolutionProblem& problem, float* workspace) {
  Parts parts = parts_of(problem);
  const std::int64_t wide = table().panel_columns, panels = pieces(parts.columns, wide);
  const auto products = static_cast<std::int64_t>(parts.products.size());
  std::vector<Cut> cuts;
  std::vector<std::int64_t> jobs = {0};  // before each product
  float* packed = workspace;
  for (PixelProduct& product : parts.products) {
    product.panels = packed;
    packed += product.left.length() * panels * wide;
    cuts.push_back(cut_for(product, parts.columns, products, threads()));
    jobs.push_back(jobs.back() + cuts.back().down * cuts.back().across);
  }
  parallel_for(products * panels, 1, [&](std::int64_t job, std::int64_t) {
    const auto which = static_cast<std::size_t>(job / panels);
    const PixelProduct& product = parts.products[which];
    const std::int64_t j = job % panels * wide;
    pack(problem, product, parts.groups[which], {j, std::min(wide, parts.columns - j)},
         const_cast<float*>(product.panels) + j * product.left.length());
  });
  parallel_for(jobs.back(), 1, [&](std::int64_t job, std::int64_t) {
    const auto which = static_cast<std::size_t>(std::upper_bound(jobs.begin(), jobs.end(), job) -
                                                jobs.begin() - 1);
    const PixelProduct& product = parts.products[which];
    const Cut& cut = cuts[which];
    const std::int64_t m = (job - jobs[which]) / cut.across * cut.pixels;
    const std::int64_t j = (job - jobs[which]) % cut.across * cut.columns;
    (product.order == GatherOrder::lines ? table().lines : table().pixels)(
        product, {m, std::min(cut.pixels, product.left.pixels_of(problem.batch) - m)},
        {j, std::min(cut.columns, parts.columns - j)},
        packed + thread_index() * static_cast<std::int64_t>(table().workspace));
  });
}

// ---- Weight gradient

void weights(const ConvolutionProblem& p, float* workspace) {
  const std::int64_t shares = shares_of(p), count = weight_count(p), out = p.out / p.groups;
  const std::int64_t pixels = p.batch * p.output.rows * p.output.columns;
  const std::int64_t length = count / p.out, wide = table().panel_columns;
  const std::int64_t share = pieces(pixels, shares), panels = pieces(length, wide);
  const std::int64_t wanted = std::min(panels, pieces(2 * threads(), shares * p.groups));
  const std::int64_t cut = pieces(panels, wanted) * wide, across = pieces(length, cut);
  float* const spaces = workspace + (shares - 1) * count;
  parallel_for(shares * p.groups * across, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t j = job % across * cut, group = job / across % p.groups;
    const std::int64_t which = job / across / p.groups, begin = std::min(pixels, which * share);
    float* const result = which == 0 ? static_cast<float*>(p.w) : workspace + (which - 1) * count;
    table().weights({offset(p.y, group * out), p.out, out, gathers_of(p, group)[0],
                     result + group * out * length, which == 0 && p.add},
                    {begin, std::min(share, pixels - begin)}, {0, out},
                    {j, std::min(cut, length - j)},
                    spaces + thread_index() * static_cast<std::int64_t>(table().workspace));
  });
  if (shares > 1)
    parallel_for(count, 4096, [&](std::int64_t begin, std::int64_t end) {
      float* const w = static_cast<float*>(p.w);
      for (std::int64_t which = 1; which < shares; ++which)
        for (std::int64_t i = begin; i < end; ++i)
          w[i] += workspace[(which - 1) * count + i];
    });
}

// ---- Registration

bool serves(const ConvolutionProblem& problem) { return !problem.tf32; }

std::size_t fast_workspace(const ConvolutionProblem& problem, int threads) {
  if (problem.dtype != DType::f32)
    return 0;
  const std::int64_t shared = problem.direction == Direction::weight
                                  ? (shares_of(problem) - 1) * weight_count(problem)
                                  : parts_of(problem).packed;
  return (static_cast<std::size_t>(shared) + threads * table().workspace) * sizeof(float);
}

void fast(const ConvolutionProblem& problem, void* workspace) {
  if (problem.dtype != DType::f32)
    convolution_plain(problem, workspace);
  else if (problem.direction == Direction::weight)
    weights(problem, static_cast<float*>(workspace));
  else
    pixels(problem, static_cast<float*>(workspace));
}

std::size_t no_workspace(const ConvolutionProblem&, int) { return 0; }

// The first is the default; the second is what the others are compared with.
const Registered registered_fast{
    convolution_family(), Device::cpu, Source::own,
    ConvolutionBackend{"convolution own", serves, fast_workspace, fast}};
const Registered registered_plain{
    convolution_family(), Device::cpu, Source::own,
    ConvolutionBackend{"convolution plain", serves, no_workspace, convolution_plain}};

}  // namespace
}  // namespace likely::kernels
