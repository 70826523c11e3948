#include "nn/parameters.h"

#include <algorithm>

#include "kernels/copy.h"

namespace likely {
namespace {

constexpr std::int64_t alignment = 64;  // bytes: a cache line, and the widest vector

std::int64_t padded(std::int64_t elements, DType dtype) {
  const std::int64_t step = alignment / static_cast<std::int64_t>(size_of(dtype));
  return (elements + step - 1) / step * step;
}

// Those that the filter keeps, in the order of registration but for groups, which stand together.
std::vector<Parameters::Entry> grouped_entries(const Module& module,
                                               const Parameters::Filter& filter,
                                               const Parameters::Grouping& grouping) {
  std::vector<std::vector<Parameters::Entry>> groups;
  for (const auto& [name, parameter] : module.parameters()) {
    if (filter && !filter(name))
      continue;
    require(!parameter.slot(),
            "parameters: '{}' already lies in another flat buffer. One optimiser trains it.", name);
    const Group group = grouping ? grouping(name, parameter.shape()) : Group{};
    auto place = std::find_if(groups.begin(), groups.end(), [&group](const auto& entries) {
      return entries.front().group == group;
    });
    if (place == groups.end())
      place = groups.emplace(groups.end());
    place->push_back({name, parameter.shape(), group, 0, parameter});
  }
  std::vector<Parameters::Entry> entries;
  for (auto& group : groups)
    entries.insert(entries.end(), group.begin(), group.end());
  return entries;
}

}  // namespace

Parameters::Parameters(Module& module, const Filter& filter, const Grouping& grouping)
    : module_(module), entries_(grouped_entries(module, filter, grouping)) {
  require(!entries_.empty(), "parameters: none is left of the {} in the module. Check the filter.",
          module.parameters().size());
  const Tensor& first = entries_.front().parameter.value();
  std::int64_t total = 0;
  for (Entry& entry : entries_) {
    const Tensor& value = entry.parameter.value();
    require(value.dtype() == first.dtype() && value.device() == first.device(),
            "parameters: '{}' is {} on {}, '{}' is {} on {}. Convert the whole module.", entry.name,
            value.dtype(), value.device(), entries_.front().name, first.dtype(), first.device());
    entry.offset = total;
    total += padded(entry.shape.numel(), first.dtype());
    count_ += entry.shape.numel();
  }
  values_ = kernels::zeros({total}, first.dtype(), first.device());
  gradients_ = kernels::zeros({total}, first.dtype(), first.device());
  for (Entry& entry : entries_) {
    const Tensor value = slice(values_, entry);
    kernels::copy_into(value, entry.parameter.value());
    entry.parameter.rebase(value, std::make_shared<Slot>(Slot{slice(gradients_, entry), false}));
  }
}

Parameters::~Parameters() {
  for (Entry& entry : entries_)
    entry.parameter.rebase(entry.parameter.value(), nullptr);
}

std::vector<kernels::Segment> Parameters::segments() const {
  std::vector<kernels::Segment> segments;
  for (const Entry& entry : entries_) {
    const std::int64_t end = entry.offset + padded(entry.shape.numel(), values_.dtype());
    const float rate = entry.parameter.frozen() ? 0 : entry.group.rate;
    if (!segments.empty() && segments.back().rate == rate &&
        segments.back().weight_decay == entry.group.weight_decay)
      segments.back().end = end;
    else
      segments.push_back({entry.offset, end, rate, entry.group.weight_decay});
  }
  return segments;
}

Tensor Parameters::slice(const Tensor& flat, const Entry& entry) {
  return flat.slice(0, entry.offset, entry.offset + entry.shape.numel()).reshape(entry.shape);
}

void Parameters::begin_update() {
  for (Entry& entry : entries_) {
    require(entry.parameter.value().storage() == values_.storage(),
            "parameters: '{}' computes with other values than those that are trained. Rebase the "
            "module onto values() first.",
            entry.name);
    entry.parameter.slot()->written = false;
  }
}

void Parameters::finish_gradients() {
  for (Entry& entry : entries_)
    if (!entry.parameter.slot()->written)
      kernels::fill(entry.parameter.slot()->gradient, 0);
}

void Parameters::rebase(const Tensor& flat) {
  require(flat.shape() == values_.shape() && flat.dtype() == values_.dtype() &&
              flat.device() == values_.device(),
          "parameters: a flat buffer of {} {} elements on {} does not fit {} of {} on {}.",
          flat.shape(), flat.dtype(), flat.device(), values_.shape(), values_.dtype(),
          values_.device());
  for (Entry& entry : entries_)
    entry.parameter.rebase(slice(flat, entry), entry.parameter.slot());
}

}  // namespace likely
