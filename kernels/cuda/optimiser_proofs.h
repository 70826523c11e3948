// The variants of the optimisers' passes on CUDA (optimiser.cu), with their proofs.
#pragma once
#include "kernels/optimiser.h"
#include "kernels/variant.h"

namespace likely::kernels {

template <class T>
struct OptimiserProofs {
  static constexpr double bar = bar_of(dtype_of<T>);

  struct Setting {
    std::int64_t size = 5003;
    std::int64_t behind = 0;  // elements behind the beginning of their storage
    bool averaged = true, non_finite = false;
    float bound = 0;
    std::vector<Segment> segments = {};
  };

  static void run(const Adam& how, const Clip& clip, FlatState& state, Tensor step) {
    adam(how, clip, state, step);
  }
  static void run(const RmsProp& how, const Clip& clip, FlatState& state, Tensor step) {
    rms_prop(how, clip, state, step);
  }
  static void run(const Sgd& how, const Clip& clip, FlatState& state, Tensor step) {
    sgd(how, clip, state, step);
  }

  // Two updates; the norm makes the first one clip.
  template <class How>
  static Proof of(const char* name, const How& how, const Setting& setting) {
    return {name, bar, [=](Inputs& in) {
              const auto flat = [&](double low, double high) {
                const std::int64_t end = setting.behind + setting.size;
                return in.uniform({end}, low, high).slice(0, setting.behind, end);
              };
              FlatState state;
              state.values = flat(-1, 1);
              state.gradients = flat(-1, 1);
              state.first = flat(-1, 1);
              state.second = flat(0.1, 1);
              if (setting.averaged)
                state.average = flat(-1, 1);
              state.average_decay = 0.4f;
              state.count = Tensor::of({1}, std::vector<std::int64_t>{3}, in.device());
              state.segments = setting.segments;
              state.bound = setting.bound;
              Tensors results{state.values, state.first, state.second, state.count};
              for (const float norm : {8.0f, 2.0f}) {
                const Tensor step = make_step_state(
                    {.rate = 0.125f, .gradient_norm = norm, .non_finite = setting.non_finite},
                    in.device());
                run(how, {4}, state, step);
                results.push_back(step);
              }
              if (setting.averaged)
                results.push_back(state.average);
              return results;
            }};
  }
  static Proof ragged(const auto& how) {
    return of("ragged", how,
              {.bound = 0.75f,
               .segments = {{0, 16, 2, 0.5f}, {16, 16}, {16, 4999, 1, 0}, {4999, 5003, 0.5f, 1}}});
  }
  static Proof exact(const auto& how) { return of("exact", how, {.size = 8192}); }
  static Proof one_behind(const auto& how) {
    return of("one element behind", how, {.size = 600, .behind = 1, .averaged = false});
  }
  static Proof stopped(const auto& how) {
    return of("stopped by the flag", how, {.size = 100, .non_finite = true});
  }
  static Proof frozen(const char* name, std::int64_t begin) {
    return of(name, Sgd{}, {.segments = {{0, begin}, {begin, 5003, 0, 1}}});
  }

  static Proof guarded(const char* name, std::int64_t size, std::int64_t behind,
                       std::int64_t special = -1, double value = 0, double loss = 1.5,
                       const GuardLimits& limits = {}) {
    return {name, bar, [=](Inputs& in) {
              std::vector<double> values(static_cast<std::size_t>(behind + size));
              for (std::size_t i = 0; i < values.size(); ++i)
                values[i] = static_cast<double>(i * 29 % 127) / 64 - 1;
              if (special >= 0)
                values[static_cast<std::size_t>(behind + special)] = value;
              const Tensor gradient =
                  in.of({behind + size}, values).slice(0, behind, behind + size);
              const Tensor state = make_step_state({.seed = 3, .rate = 2}, in.device());
              guard(gradient, in.of({}, {loss}), state, limits);
              const StepState now = read_step_state(state);
              return Tensors{Tensor::of(
                  {3}, std::vector<double>{now.loss, now.gradient_norm, double(now.non_finite)})};
            }};
  }

  // More buffers than one launch takes, one of which may hold something special.
  static Proof checked(const char* name, std::size_t special, double value) {
    return {name, 0, [=](Inputs& in) {
              Tensors buffers;
              for (std::size_t i = 0; i < 35; ++i) {
                std::vector<double> values(i * 17 % 600 + 1, -3);
                if (i == special)
                  values.back() = value;
                buffers.push_back(in.of({static_cast<std::int64_t>(values.size())}, values));
              }
              const Tensor state = make_step_state({}, in.device());
              check_finite(buffers, state);
              return Tensors{
                  Tensor::of({1}, std::vector<double>{double(read_step_state(state).non_finite)})};
            }};
  }
};

inline Proof commit_proof(const char* name, bool non_finite) {
  return {name, 0, [=](Inputs& in) {
            const Tensor to = in.normal({1003}), from = in.normal({1003});
            commit(to, from, make_step_state({.non_finite = non_finite}, in.device()));
            return Tensors{to};
          }};
}
inline const Variant commit_variant{"optimiser", "commit", DType::f32,
                                    commit_proof("a ragged end", false),
                                    commit_proof("stopped by the flag", true)};

template <class T>
struct OptimiserVariants {
  using Proofs = OptimiserProofs<T>;
  static constexpr const char* family = "optimiser";
  static constexpr DType dtype = dtype_of<T>;

  template <class How>
  static Variant of(const char* name, const How& how) {
    return {family,
            name,
            dtype,
            Proofs::exact(how),
            Proofs::ragged(how),
            Proofs::one_behind(how),
            Proofs::stopped(how)};
  }
  inline static const Variant adam = of("adam", Adam{0.8f, 0.9f, 1e-3f});
  inline static const Variant rms_prop = of("rms_prop", RmsProp{0.9f, 1e-3f});
  inline static const Variant sgd = of("sgd", Sgd{});
  inline static const Variant momentum = of("momentum", Sgd{0.9f});
  inline static const Variant follow{family, "follow", dtype, Proofs::frozen("all", 0),
                                     Proofs::frozen("the end, unaligned", 1001)};
  inline static const Variant guard{
      family,
      "guard",
      dtype,
      Proofs::guarded("exact", 16384, 0),
      Proofs::guarded("ragged", 40003, 0),
      Proofs::guarded("one element behind", 999, 1),
      Proofs::guarded("NaN in the gradient", 40003, 0, 40002, __builtin_nan("")),
      Proofs::guarded("infinity in the gradient", 999, 1, 0, -__builtin_inf()),
      Proofs::guarded("NaN for a loss", 100, 0, -1, 0, __builtin_nan("")),
      Proofs::guarded("a norm above the limit", 999, 0, 5, 64, 1.5, {.norm = 50}),
      Proofs::guarded("clipped below it", 999, 0, 5, 64, 1.5, {.clipped = 5, .clip = 4}),
      Proofs::guarded("clipped above it", 999, 0, 5, 64, 1.5, {.clipped = 5, .clip = 6}),
      Proofs::guarded("a rate above the limit", 999, 0, -1, 0, 1.5, {.rate = 1.5})};
  inline static const Variant check_finite{family,
                                           "check_finite",
                                           dtype,
                                           Proofs::checked("all finite", 0, 1),
                                           Proofs::checked("NaN", 3, __builtin_nan("")),
                                           Proofs::checked("infinity", 34, -__builtin_inf())};
};

}  // namespace likely::kernels
