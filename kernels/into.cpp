#include "kernels/into.h"

#include <algorithm>
#include <cstdlib>

namespace likely::kernels {
namespace {

// low … high times a stride above 0: what an axis of x adds to a place, less one of y's.
struct Term {
  std::int64_t stride, low, high;
};

void append(std::vector<Term>& terms, const Tensor& of, bool negative) {
  for (int axis = 0; axis < of.rank(); ++axis) {
    const std::int64_t stride = of.strides()[axis], steps = of.size(axis) - 1;
    if (stride == 0 || steps == 0)
      continue;
    if ((stride < 0) != negative)
      terms.push_back({std::abs(stride), -steps, 0});
    else
      terms.push_back({std::abs(stride), 0, steps});
  }
}

std::int64_t floor_of_quotient(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }

// Whether one number a term, from `at` on, makes `sum`. Strides fall: what the later ones reach
// bounds each. Yes where `steps` run out.
bool reaches(const std::vector<Term>& terms, std::size_t at, std::int64_t sum, int& steps) {
  if (at == terms.size())
    return sum == 0;
  std::int64_t low = 0, high = 0;
  for (std::size_t i = at + 1; i < terms.size(); ++i) {
    low += terms[i].low * terms[i].stride;
    high += terms[i].high * terms[i].stride;
  }
  const auto& [stride, least, most] = terms[at];
  const std::int64_t first = std::max(least, -floor_of_quotient(high - sum, stride)),
                     last = std::min(most, floor_of_quotient(sum - low, stride));
  for (std::int64_t i = first; i <= last; ++i)
    if (--steps < 0 || reaches(terms, at + 1, sum - i * stride, steps))
      return true;
  return false;
}

}  // namespace

bool overlap(const Tensor& x, const Tensor& y) {
  if (x.storage() != y.storage() || x.numel() == 0 || y.numel() == 0)
    return false;
  std::vector<Term> terms;
  append(terms, x, false);
  append(terms, y, true);
  std::sort(terms.begin(), terms.end(),
            [](const Term& a, const Term& b) { return a.stride > b.stride; });
  std::vector<Term> joined;  // those of one stride reach as far as both
  for (const auto& [stride, low, high] : terms)
    if (!joined.empty() && joined.back().stride == stride)
      joined.back() = {stride, joined.back().low + low, joined.back().high + high};
    else
      joined.push_back({stride, low, high});
  int steps = 10000;
  return reaches(joined, 0, y.offset() - x.offset(), steps);
}

void require_writable(const char* operation, const char* name, const Tensor& out) {
  if (out.contiguous())
    return;
  std::vector<Term> terms;
  append(terms, out, false);
  std::sort(terms.begin(), terms.end(),
            [](const Term& a, const Term& b) { return a.stride < b.stride; });
  std::int64_t inside = 0;  // how far the axes of smaller strides reach
  bool apart = true;
  for (const Term& term : terms) {
    apart = apart && term.stride > inside;
    inside += term.stride * (term.high - term.low);
  }
  for (int i = 0; i < out.rank(); ++i)
    apart = apart && (out.size(i) <= 1 || out.strides()[i] != 0);
  require(apart || out.numel() == 0,
          "{}: {} is a view in which elements lie on top of each other: {} with strides {}. Give "
          "the tensor before expand() or view().",
          operation, name, out.shape(), out.strides());
}

Tensor result_in(const char* operation, const Into& into, const Shape& shape, const Tensor& like,
                 const std::vector<Tensor>& operands) {
  const Tensor& out = into.out;
  if (!out.defined()) {
    require(!into.add, "{}: there is nothing to add to. Give `out` or leave `add` away.",
            operation);
    return Tensor::empty(shape, like.dtype(), like.device());
  }
  require(out.shape() == shape && out.dtype() == like.dtype() && out.device() == like.device(),
          "{}: the result is {} {} on {}, `out` is {} {} on {}. Give a tensor that fits.",
          operation, shape, like.dtype(), like.device(), out.shape(), out.dtype(), out.device());
  require_writable(operation, "`out`", out);
  for (const Tensor& operand : operands)
    require(!overlap(out, operand),
            "{}: `out` shares memory with an operand. Give it memory of its own.", operation);
  return out;
}

}  // namespace likely::kernels
