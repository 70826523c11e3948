// Random numbers that need no state but a seed and a counter: Philox4x32-10 (Salmon et al. 2011).
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace likely {

// What one update reads from outside, as a `u8` tensor on the device: random and optimiser kernels
// read it there, so that an update can be recorded once and replayed.
struct StepState {
  std::uint64_t seed = 0;
  std::uint64_t update = 0;      // updates of all optimisers together
  float rate = 0;                // learning rate of this update
  float loss = 0;                // written by the guard
  float gradient_norm = 0;       // written by the guard
  std::uint32_t non_finite = 0;  // not zero: the optimiser's pass does nothing
};

Tensor make_step_state(const StepState& state, Device device = {});
StepState read_step_state(const Tensor& state);
void write_step_state(Tensor& state, const StepState& value);
void write_rate(Tensor& state, float rate);  // alone: what else it holds stays on the device

// One tensor's worth of random numbers. Element i reads word i % 4 of the block with
// key = seed and counter = {i / 4, index, update, purpose}; a value, so backward can keep it
// instead of a mask.
struct Draw {
  Tensor state;               // a StepState
  std::uint32_t purpose = 0;  // hash of the purpose's name
  std::uint32_t index = 0;    // which draw of this purpose within the update
};

// The 32-bit FNV-1a hash of a purpose's name. Two names with one hash throw.
std::uint32_t purpose_hash(const std::string& purpose);

// Hands out draws: the first of a purpose in an update has the index 0, the next 1, and so on.
class Random {
 public:
  explicit Random(Tensor state) : state_(std::move(state)) {}
  Draw draw(const std::string& purpose);
  void begin_update() { next_.clear(); }  // called when the update counter moves
  const Tensor& state() const { return state_; }

 private:
  Tensor state_;
  std::map<std::string, std::uint32_t> next_;
};

}  // namespace likely
