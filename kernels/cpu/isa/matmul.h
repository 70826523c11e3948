// The f32 product as one thread computes it, once for each instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"

namespace likely::kernels {

// c [m, n] = activation(a [m, k] b [k, n] + bias [n]). Strides in elements; columns of c adjacent.
struct Product {
  std::int64_t m, n, k;
  const float* a;
  std::int64_t a_row, a_column;
  const float* b;
  std::int64_t b_row, b_column;
  float* c;
  std::int64_t c_row;
  bool add;           // start from what c holds
  const float* bias;  // or null
  Activation activation;
  double slope;
};

struct ProductTable {
  std::int64_t columns;                              // of one tile in registers
  std::size_t (*workspace)(const Product& product);  // in floats; reads no element
  void (*run)(const Product& product, float* workspace);
};

namespace isa_v3 {
extern const ProductTable product_table;
}
namespace isa_v4 {
extern const ProductTable product_table;
}

}  // namespace likely::kernels
