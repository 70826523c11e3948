#include "autograd/ops/pointwise.h"

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace likely {
namespace {

using namespace kernels;  // the formulas

// Sums, differences and multiples keep nothing; products keep a factor only for the other's
// gradient.
const Op add_op{"add",
                Case{"same shape",
                     [](Samples& s) {
                       return s.normal({3, 4}) + s.normal({3, 4});
                     }},
                Case{"broadcast row",
                     [](Samples& s) {
                       return s.normal({2, 3, 4}) + s.normal({4});
                     }}
                    .without(Variant::zero_size, "an extent of 4 does not broadcast with 0")};
const Op subtract_op{"subtract",
                     Case{"same shape",
                          [](Samples& s) {
                            return s.normal({3, 4}) - s.normal({3, 4});
                          }},
                     Case{"broadcast column", [](Samples& s) {
                            return s.normal({3, 4}) - s.normal({3, 1});
                          }}};
const Op multiply_op{"multiply",
                     Case{"same shape",
                          [](Samples& s) {
                            return s.normal({3, 4}) * s.normal({3, 4});
                          }},
                     Case{"broadcast both", [](Samples& s) {
                            return s.normal({3, 1}) * s.normal({1, 4});
                          }}};
const Op divide_op{"divide", Case{"same shape", [](Samples& s) {
                                    return s.normal({3, 4}) / s.positive({3, 4});
                                  }}};
const Op divide_by_op{"divide_by", Case{"by 49", [](Samples& s) {
                                          return s.normal({3, 4}) / 49.0;
                                        }}};
const Op negate_op{"negate", Case{"matrix", [](Samples& s) { return -s.normal({3, 4}); }}};
const Op scale_op{"scale",
                  Case{"by 2.5",
                       [](Samples& s) {
                         return s.normal({3, 4}) * 2.5;
                       }},
                  Case{"by 0", [](Samples& s) {
                         return s.normal({3, 4}) * 0.0;
                       }}};
const Op shift_op{"shift", Case{"by -1.5", [](Samples& s) { return s.normal({3, 4}) - 1.5; }}};

// Slopes that follow from the value y alone, so that x need not be kept.
const Op tanh_op{"tanh",
                 Case{"matrix",
                      [](Samples& s) {
                        return tanh(s.normal({3, 4}));
                      }},
                 Case{"scalar", [](Samples& s) { return tanh(s.normal({})); }}};
const Op sigmoid_op{"sigmoid", Case{"matrix", [](Samples& s) {
                                      return sigmoid(s.normal({3, 4}));
                                    }}};
const Op exp_op{"exp", Case{"matrix", [](Samples& s) { return exp(s.normal({3, 4})); }}};
const Op relu_op{"relu",
                 Case{"beside the kink",
                      [](Samples& s) {
                        return relu(s.away_from({3, 4}, {0}));
                      }},
                 Case{"on the kink",
                      [](Samples& s) {
                        return relu(s.at({3}, {-1, 0, 1}));
                      }}
                     .states({0, 0, 1})};
const Op leaky_relu_op{"leaky_relu",
                       Case{"beside the kink",
                            [](Samples& s) {
                              return leaky_relu(s.away_from({3, 4}, {0}), 0.2);
                            }},
                       Case{"on the kink",
                            [](Samples& s) {
                              return leaky_relu(s.at({3}, {-1, 0, 1}), 0.25);
                            }}
                           .states({0.25, 0.25, 1}),
                       Case{"a slope below 0",
                            [](Samples& s) {
                              return leaky_relu(s.away_from({3, 4}, {0}), -0.5);
                            }},
                       Case{"a slope below 0, on the kink",
                            [](Samples& s) {
                              return leaky_relu(s.at({4}, {-2, -1, 0, 1}), -0.5);
                            }}
                           .states({-0.5, -0.5, -0.5, 1})};

Variable slope_case(Samples& s, Activation activation) {
  const Variable g = s.normal({3, 4});
  const bool kinked = activation == Activation::relu || activation == Activation::leaky_relu;
  return activation_slope(g, kinked ? s.away_from({3, 4}, {0}) : s.uniform({3, 4}, 0.1, 0.9),
                          activation, 0.2);
}
const Op activation_slope_op{
    "activation_slope", Case{"of tanh", [](Samples& s) { return slope_case(s, Activation::tanh); }},
    Case{"of sigmoid", [](Samples& s) { return slope_case(s, Activation::sigmoid); }},
    Case{"of relu", [](Samples& s) { return slope_case(s, Activation::relu); }},
    Case{"of leaky relu", [](Samples& s) { return slope_case(s, Activation::leaky_relu); }}};

// Everything else is its formula.
const Op log_op{"log", Case{"matrix", [](Samples& s) { return log(s.positive({3, 4})); }}};
const Op sqrt_op{"sqrt", Case{"matrix", [](Samples& s) { return sqrt(s.positive({3, 4})); }}};
const Op square_op{"square", Case{"matrix", [](Samples& s) { return square(s.normal({3, 4})); }}};
const Op reciprocal_op{"reciprocal", Case{"matrix", [](Samples& s) {
                                            return reciprocal(s.positive({3, 4}));
                                          }}};
const Op softplus_op{"softplus",
                     Case{"matrix",
                          [](Samples& s) {
                            return softplus(s.normal({3, 4}));
                          }},
                     Case{"far out", [](Samples& s) { return softplus(s.uniform({6}, -20, 20)); }}};
const Op erf_op{"erf", Case{"matrix", [](Samples& s) { return erf(s.normal({3, 4})); }}};
const Op silu_op{"silu", Case{"matrix", [](Samples& s) { return silu(s.normal({3, 4})); }}};
const Op gelu_op{"gelu", Case{"matrix", [](Samples& s) { return gelu(s.normal({3, 4})); }}};
const Op abs_op{"abs",
                Case{"beside the kink",
                     [](Samples& s) {
                       return abs(s.away_from({3, 4}, {0}));
                     }},
                Case{"on the kink",
                     [](Samples& s) {
                       return abs(s.at({3}, {-1, 0, 1}));
                     }}
                    .states({-1, 0, 1})};
const Op clamp_op{"clamp",
                  Case{"beside the kinks",
                       [](Samples& s) {
                         return clamp(s.away_from({3, 4}, {-0.5, 0.8}), -0.5, 0.8);
                       }},
                  Case{"on the kinks",
                       [](Samples& s) {
                         return clamp(s.at({4}, {-2, -1, 0.5, 1}), -1, 1);
                       }}
                      .states({0, 1, 1, 1})};
const Op gated_tanh_op{"gated_tanh", Case{"matrix", [](Samples& s) {
                                            return gated_tanh(s.normal({3, 4}), s.normal({3, 4}));
                                          }}};
const Op bernoulli_log_prob_op{
    "bernoulli_log_prob",
    Case{"fixed x",
         [](Samples& s) {
           return bernoulli_log_prob(s.constant({3, 4}), s.normal({3, 4}));
         }},
    Case{"both", [](Samples& s) {
           return bernoulli_log_prob(s.uniform({3, 4}, 0, 1), s.normal({3, 4}));
         }}};
const Op discretised_logistic_log_prob_op{
    "discretised_logistic_log_prob",
    Case{"between the ends",
         [](Samples& s) {
           const Variable x = s.uniform({3, 4}, -0.9, 0.9);
           const Variable mean = s.normal({3, 4});
           return discretised_logistic_log_prob(x, mean, s.normal({3, 4}), 256);
         }},
    Case{"at the ends",
         [](Samples& s) {
           const Variable mean = s.normal({3, 4}), log_scale = s.normal({3, 4});
           return discretised_logistic_log_prob(Variable(s.constant({3, 1})) * 0.0 + 1.0, mean,
                                                log_scale, 4) +
                  discretised_logistic_log_prob(Variable(s.constant({3, 1})) * 0.0 - 1.0, mean,
                                                log_scale, 4);
         }},
    Case{"wide cells", [](Samples& s) {  // both sides of y = 1/2
           const Variable mean = s.normal({3, 4});
           return discretised_logistic_log_prob(Variable(s.constant({3, 4})) * 0.0, mean,
                                                s.uniform({3, 4}, -2, 1), 3);
         }}};
const Op normal_log_prob_op{"normal_log_prob",
                            Case{"all three", [](Samples& s) {
                                   const Variable x = s.normal({3, 4}), m = s.normal({3, 4});
                                   return normal_log_prob(x, m, s.normal({3, 4}));
                                 }}};
const Op standard_normal_kl_op{"standard_normal_kl",
                               Case{"both", [](Samples& s) {
                                      const Variable m = s.normal({3, 4});
                                      return standard_normal_kl(m, s.normal({3, 4}));
                                    }}};
const Op normal_kl_op{"normal_kl", Case{"all four", [](Samples& s) {
                                          const Variable m = s.normal({3, 4}), v = s.normal({3, 4});
                                          const Variable n = s.normal({3, 4});
                                          return normal_kl(m, v, n, s.normal({3, 4}));
                                        }}};
const Op kl_term_op{"kl_term",
                    Case{"near",
                         [](Samples& s) {
                           const Variable p = s.normal({3, 4});
                           return kl_term(p, p + s.uniform({3, 4}, -0.4, 0.4));
                         }},
                    Case{"both", [](Samples& s) {
                           const Variable p = s.normal({3, 4});
                           return kl_term(p, s.normal({3, 4}));
                         }}};
const Op reparameterise_op{"reparameterise",
                           Case{"all three", [](Samples& s) {
                                  const Variable m = s.normal({3, 4}), v = s.normal({3, 4});
                                  return reparameterise(m, v, s.normal({3, 4}));
                                }}};

template <class F>
Tensor value(const F& formula, const Tensors& x) {
  return pointwise(call(formula), x);
}

}  // namespace

Variable operator+(const Variable& a, const Variable& b) {
  return add_op.record(value(Add{}, {a.value(), b.value()}), {a, b},
                       [](const Variable& g, const Wants&) -> Variables {
                         return {g, g};
                       });
}

Variable operator-(const Variable& a, const Variable& b) {
  return subtract_op.record(value(Subtract{}, {a.value(), b.value()}), {a, b},
                            [](const Variable& g, const Wants& wants) -> Variables {
                              return {g, wants[1] ? -g : none};
                            });
}

Variable operator*(const Variable& a, const Variable& b) {
  return multiply_op.record(
      value(Multiply{}, {a.value(), b.value()}), {a, b},
      [a = a.saved_for(b), b = b.saved_for(a)](const Variable& g, const Wants& wants) -> Variables {
        return {wants[0] ? g * b.get() : none, wants[1] ? g * a.get() : none};
      });
}

Variable operator/(const Variable& a, const Variable& b) {
  return apply(divide_op, Divide{}, {a, b});
}

Variable operator-(const Variable& x) {
  return negate_op.record(value(Negate{}, {x.value()}), {x},
                          [](const Variable& g, const Wants&) -> Variables { return {-g}; });
}

Variable operator*(const Variable& x, double factor) {
  return scale_op.record(
      value(Scale{factor}, {x.value()}), {x},
      [factor](const Variable& g, const Wants&) -> Variables { return {g * factor}; });
}
Variable operator*(double factor, const Variable& x) { return x * factor; }
Variable operator/(const Variable& x, double divisor) {
  return divide_by_op.record(
      value(DivideBy{divisor}, {x.value()}), {x},
      [divisor](const Variable& g, const Wants&) -> Variables { return {g / divisor}; });
}

Variable operator+(const Variable& x, double term) {
  return shift_op.record(value(Shift{term}, {x.value()}), {x},
                         [](const Variable& g, const Wants&) -> Variables { return {g}; });
}
Variable operator+(double term, const Variable& x) { return x + term; }
Variable operator-(const Variable& x, double term) { return x + -term; }
Variable operator-(double term, const Variable& x) { return -x + term; }

Variable tanh(const Variable& x) {
  return tanh_op.record(value(Tanh{}, {x.value()}), {x},
                        [](const Variable& g, const Variable& y, const Wants&) -> Variables {
                          return {activation_slope(g, y, Activation::tanh, 0)};
                        });
}

Variable sigmoid(const Variable& x) {
  return sigmoid_op.record(value(Sigmoid{}, {x.value()}), {x},
                           [](const Variable& g, const Variable& y, const Wants&) -> Variables {
                             return {activation_slope(g, y, Activation::sigmoid, 0)};
                           });
}

Variable exp(const Variable& x) {
  return exp_op.record(
      value(Exp{}, {x.value()}), {x},
      [](const Variable& g, const Variable& y, const Wants&) -> Variables { return {g * y}; });
}

Variable relu(const Variable& x) {
  watch_kink(x.value());
  return relu_op.record(value(Relu{}, {x.value()}), {x},
                        [](const Variable& g, const Variable& y, const Wants&) -> Variables {
                          return {activation_slope(g, y, Activation::relu, 0)};
                        });
}

Variable leaky_relu(const Variable& x, double slope) {
  watch_kink(x.value());
  if (!slope_reads_value(Activation::leaky_relu, slope))
    return apply(leaky_relu_op, LeakyRelu{slope}, {x});
  return leaky_relu_op.record(
      value(LeakyRelu{slope}, {x.value()}), {x},
      [slope](const Variable& g, const Variable& y, const Wants&) -> Variables {
        return {activation_slope(g, y, Activation::leaky_relu, slope)};
      });
}

Variable activated(const Variable& x, Activation activation, double slope) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu(x);
    case Activation::leaky_relu:
      return leaky_relu(x, slope);
    case Activation::tanh:
      return tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::silu:
      return silu(x);
  }
  fail("activated: unknown activation {}.", static_cast<int>(activation));
}

Variable activation_slope(const Variable& g, const Variable& y, Activation activation,
                          double slope) {
  require(activation == Activation::none || slope_reads_value(activation, slope),
          "activation_slope: the slope of silu, and of leaky_relu with a slope below 0, does not "
          "follow from the value. Apply {} to what the layer gives.",
          activation == Activation::silu ? "silu" : "leaky_relu");
  switch (activation) {
    case Activation::none:
      return g;
    case Activation::relu:
      return apply(activation_slope_op, ReluFromOutput{}, {g, y});
    case Activation::leaky_relu:
      return apply(activation_slope_op, LeakyReluFromOutput{slope}, {g, y});
    case Activation::tanh:
      return apply(activation_slope_op, TanhFromOutput{}, {g, y});
    case Activation::sigmoid:
      return apply(activation_slope_op, SigmoidFromOutput{}, {g, y});
    case Activation::silu:
      break;
  }
  fail("activation_slope: unknown activation {}.", static_cast<int>(activation));
}

Variable log(const Variable& x) { return apply(log_op, Log{}, {x}); }
Variable sqrt(const Variable& x) { return apply(sqrt_op, Sqrt{}, {x}); }
Variable square(const Variable& x) { return apply(square_op, Square{}, {x}); }
Variable reciprocal(const Variable& x) { return apply(reciprocal_op, Reciprocal{}, {x}); }
Variable softplus(const Variable& x) { return apply(softplus_op, Softplus{}, {x}); }
Variable erf(const Variable& x) { return apply(erf_op, Erf{}, {x}); }
Variable silu(const Variable& x) { return apply(silu_op, Silu{}, {x}); }
Variable gelu(const Variable& x) { return apply(gelu_op, Gelu{}, {x}); }

Variable abs(const Variable& x) {
  watch_kink(x.value());
  return apply(abs_op, Abs{}, {x});
}

Variable clamp(const Variable& x, double low, double high) {
  require(low <= high, "clamp: the lower end {} lies above the upper end {}.", low, high);
  watch_kink(value(Shift{-low}, {x.value()}));
  watch_kink(value(Shift{-high}, {x.value()}));
  return apply(clamp_op, Clamp{low, high}, {x});
}

Variable gated_tanh(const Variable& f, const Variable& g) {
  return apply(gated_tanh_op, GatedTanh{}, {f, g});
}

Variable discretised_logistic_log_prob(const Variable& x, const Variable& mean,
                                       const Variable& log_scale, std::int64_t levels) {
  return apply(discretised_logistic_log_prob_op,
               DiscretisedLogisticLogProb{1 / static_cast<double>(levels - 1)},
               {x, mean, log_scale});
}

Variable bernoulli_log_prob(const Variable& x, const Variable& logits) {
  return apply(bernoulli_log_prob_op, BernoulliLogProb{}, {x, logits});
}

Variable normal_log_prob(const Variable& x, const Variable& mean, const Variable& log_variance) {
  return apply(normal_log_prob_op, NormalLogProb{}, {x, mean, log_variance});
}

Variable standard_normal_kl(const Variable& mean, const Variable& log_variance) {
  return apply(standard_normal_kl_op, StandardNormalKl{}, {mean, log_variance});
}

Variable normal_kl(const Variable& mean, const Variable& log_variance, const Variable& other_mean,
                   const Variable& other_log_variance) {
  return apply(normal_kl_op, NormalKl{}, {mean, log_variance, other_mean, other_log_variance});
}

Variable kl_term(const Variable& log_p, const Variable& log_q) {
  return apply(kl_term_op, KlTerm{}, {log_p, log_q});
}

Variable reparameterise(const Variable& mean, const Variable& log_variance, const Variable& noise) {
  return apply(reparameterise_op, Reparameterise{}, {mean, log_variance, noise});
}

}  // namespace likely
