// Data sets that are generated: their entropy is known and they need no file.
#pragma once
#include <memory>

#include "zoo/data/catalogue.h"
#include "zoo/data/templates.h"

namespace likely {

enum class Form { disc, square, triangle, cross };
constexpr Form forms[] = {Form::disc, Form::square, Form::triangle, Form::cross};
// Whether the pixel at (dx, dy) from the centre belongs to the form of radius r: in each row an
// interval.
bool inside(Form form, int dx, int dy, int r);

// 28x28: a disc, square, triangle or cross with centre in 8..19 and radius in 3..7 (2,880
// templates, all different), then every pixel flips with probability 0.02.
TemplateMixture shapes_mixture();

// Bars and stripes, n x n: a coin chooses rows or columns, then a coin for each of the n its
// colour. All black and all white come both ways and have double weight.
TemplateMixture bars_mixture(int n);

// The Ising model of n x n spins on a torus, every state a template: p ∝ exp(β Σ s_i s_j) over
// neighbours, s = 2 pixel - 1.
TemplateMixture ising_mixture(int n, double beta);

// An endless training split, and 10,000 images each for validation and test.
std::unique_ptr<DataSet> make_generated(std::string name, TemplateMixture mixture,
                                        const DataOptions& options);

}  // namespace likely
