// StepState as a tensor, and the purposes that keep random streams apart.
#include "tensor/random.h"

#include <cstddef>
#include <mutex>

namespace likely {

namespace {

void require_step_state(const Tensor& state) {
  require(state.dtype() == DType::u8 && state.shape() == Shape{sizeof(StepState)},
          "random: a StepState is a u8 tensor of {} bytes, not {} {}.", sizeof(StepState),
          state.dtype(), state.shape());
}

}  // namespace

Tensor make_step_state(const StepState& state, Device device) {
  Tensor result = Tensor::empty({sizeof(StepState)}, DType::u8, device);
  write_step_state(result, state);
  return result;
}

StepState read_step_state(const Tensor& state) {
  require_step_state(state);
  StepState value;
  state.copy_to_host(&value);
  return value;
}

void write_step_state(Tensor& state, const StepState& value) {
  require_step_state(state);
  state.copy_from_host(&value);
}

void write_rate(Tensor& state, float rate) {
  require_step_state(state);
  constexpr std::int64_t begin = offsetof(StepState, rate);
  state.slice(0, begin, begin + static_cast<std::int64_t>(sizeof rate)).copy_from_host(&rate);
}

std::uint32_t purpose_hash(const std::string& purpose) {
  std::uint32_t hash = 2166136261u;
  for (const char c : purpose)
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  static std::mutex mutex;
  static std::map<std::uint32_t, std::string> names;
  const std::lock_guard lock(mutex);
  const std::string& first = names.emplace(hash, purpose).first->second;
  require(first == purpose,
          "random: the purposes '{}' and '{}' have one hash, so one stream. Rename one.", first,
          purpose);
  return hash;
}

Draw Random::draw(const std::string& purpose) {
  return {state_, purpose_hash(purpose), next_[purpose]++};
}

}  // namespace likely
