// The variants of softmax on CUDA (softmax.cu), with their proofs.
#pragma once
#include "kernels/softmax.h"
#include "kernels/variant.h"

namespace likely::kernels {

template <class T>
struct SoftmaxProofs {
  static Tensors log_probs_of(const Tensor& x, const Tensor& index, const Tensor& g) {
    const CategoricalLogProb p = categorical_log_prob(x, index);
    return {p.log_prob, p.log_sum_exp, categorical_log_prob_gradient(g, x, index, p.log_sum_exp)};
  }

  static Tensors all_of(const Tensor& x, int axis) {
    return {softmax(x, axis), log_softmax(x, axis), log_sum_exp(x, axis)};
  }

  static Proof proof(const char* name, std::int64_t rows, std::int64_t columns) {
    return {name, bar_of(dtype_of<T>), [=](Inputs& in) {
              return all_of(in.normal({rows, columns}), 1);
            }};
  }

  static Proof likelihood(const char* name, std::int64_t rows, std::int64_t columns) {
    return {name, bar_of(dtype_of<T>), [=](Inputs& in) {
              const Tensor x = in.normal({rows, columns}), g = in.normal({rows});
              return log_probs_of(x, in.integers({rows}, columns), g);
            }};
  }

  static Proof one_behind(std::int64_t rows, std::int64_t columns) {
    return {
        "one element behind", bar_of(dtype_of<T>), [=](Inputs& in) {
          return all_of(kernels::one_behind(in.normal({rows * columns + 1}), {rows, columns}), 1);
        }};
  }

  // Rows of so many columns whose maxima are far from 0, infinite or NaN.
  static Proof specials(std::int64_t columns) {
    return {"not numbers", bar_of(dtype_of<T>), [=](Inputs& in) {
              const double i = __builtin_inf(), n = __builtin_nan("");
              const double firsts[6][3] = {{1e3, 999, 0}, {-i, 0, 1},   {i, 0, -i},
                                           {n, 1, i},     {-i, -i, -i}, {-1e30, -1e30, -1e30}};
              std::vector<double> values;
              for (const auto& first : firsts)
                for (std::int64_t c = 0; c < columns; ++c)
                  values.push_back(first[c * 3 / columns]);
              return all_of(in.of({6, columns}, values), 1);
            }};
  }

  static Proof drawn(const char* name, std::int64_t rows, std::int64_t columns) {
    return {
        name, 0, [=](Inputs& in) {
          const Draw draw{make_step_state({0x123456789abcdef0, 77}, in.device()), 0xdeadbeef, 3};
          return Tensors{categorical(in.normal({rows, columns}), draw)};
        }};
  }
};

template <class T>
struct SoftmaxVariants : private SoftmaxProofs<T> {
  using Proofs = SoftmaxProofs<T>;

  inline static const Variant rows_of_warps{"softmax",
                                            "rows",
                                            dtype_of<T>,
                                            Proofs::proof("exact", 9, 1024),
                                            Proofs::proof("ragged", 37, 1001),
                                            Proofs::proof("few columns", 131, 3),
                                            Proofs::proof("one column", 5, 1),
                                            Proofs::one_behind(5, 40),
                                            Proofs::specials(30),
                                            Proofs::likelihood("a class", 37, 101)};

  inline static const Variant rows_of_blocks{"softmax",
                                             "long rows",
                                             dtype_of<T>,
                                             Proofs::proof("exact", 2, 8192),
                                             Proofs::proof("ragged", 3, 1027),
                                             Proofs::one_behind(2, 2048),
                                             Proofs::specials(1500),
                                             Proofs::likelihood("a class", 3, 1027)};

  inline static const Variant rows_of_pieces{"softmax",
                                             "rows read again",
                                             dtype_of<T>,
                                             Proofs::proof("exact", 2, 16384),
                                             Proofs::proof("ragged", 3, 20001),
                                             Proofs::one_behind(2, 8200),
                                             Proofs::specials(9000),
                                             Proofs::likelihood("a class", 3, 8201)};

  inline static const Variant packed_gradients{"softmax", "gradient of a class, packed",
                                               dtype_of<T>,
                                               Proofs::likelihood("256 levels", 9, 256)};

  inline static const Variant elementwise_gradients{
      "softmax", "gradient of a class", dtype_of<T>,
      Proofs::likelihood("an odd number of classes", 37, 101),
      Proofs::likelihood("one class", 5, 1)};

  inline static const Variant draws{"softmax",
                                    "draw",
                                    dtype_of<T>,
                                    Proofs::drawn("256 levels", 9, 256),
                                    Proofs::drawn("an odd number of classes", 131, 11),
                                    Proofs::drawn("many classes", 3, 5001),
                                    Proofs::drawn("one class", 37, 1)};
};

}  // namespace likely::kernels
