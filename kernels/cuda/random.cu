// Random numbers on CUDA: a Philox block of four words for each thread.
#include "kernels/cuda/elements.h"
#include "kernels/random.h"
#include "kernels/random_numbers.h"

namespace likely::kernels {
namespace {

struct RandomArguments {
  std::int64_t count;
  const StepState* state;
  std::uint32_t purpose, index;
  void* out;
  const void* given;
  double keep;
  std::int64_t below;
};

template <RandomKind kind>
constexpr int numbers_of_block = kind == RandomKind::integers ? 2 : 4;

template <RandomKind kind, class T>
__global__ void __launch_bounds__(cuda::block_threads) make_numbers(RandomArguments a) {
  constexpr int made = numbers_of_block<kind>;
  const std::int64_t block = cuda::thread_number(), begin = block * made, left = a.count - begin;
  if (left <= 0)
    return;
  const int count = left < made ? static_cast<int>(left) : made;
  const PhiloxStream stream = philox_stream(a.state->seed, a.state->update, a.purpose, a.index);
  const PhiloxBlock words =
      philox({{static_cast<std::uint32_t>(block), stream.index, stream.update, stream.purpose}},
             stream.key[0], stream.key[1]);

  T number[made];
  if constexpr (kind == RandomKind::bits) {
    LIKELY_UNROLL
    for (int j = 0; j < made; ++j)
      number[j] = static_cast<T>(words.word[j]);
  } else if constexpr (kind == RandomKind::uniform) {
    LIKELY_UNROLL
    for (int j = 0; j < made; ++j)
      number[j] = uniform_as<T>(uniform_from(words.word[j]));
  } else if constexpr (kind == RandomKind::normal) {
    LIKELY_UNROLL
    for (int j = 0; j < made; j += 2) {
      const NormalPair pair = normals_from(words.word[j], words.word[j + 1]);
      number[j] = T(pair.first);
      number[j + 1] = T(pair.second);
    }
  } else if constexpr (kind == RandomKind::bernoulli) {
    const T* p = static_cast<const T*>(a.given) + begin;
    LIKELY_UNROLL
    for (int j = 0; j < made; ++j)
      number[j] = T(j < count && happens(uniform_from(words.word[j]), p[j]) ? 1.0f : 0.0f);
  } else if constexpr (kind == RandomKind::dropout) {
    const T* x = static_cast<const T*>(a.given) + begin;
    LIKELY_UNROLL
    for (int j = 0; j < made; ++j)
      number[j] = kept(uniform_from(words.word[j]), j < count ? x[j] : T(0.0f), a.keep);
  } else {
    LIKELY_UNROLL
    for (int j = 0; j < made; ++j)
      number[j] = integer_from(words.word[2 * j], words.word[2 * j + 1], a.below);
  }
  cuda::write(static_cast<T*>(a.out) + begin, number, count);
}

// ---- Proofs: the CPU's bits.

Draw draw_on(Device device) {
  const StepState state{0x123456789abcdef0, 77};
  return {make_step_state(state, device), 0xdeadbeef, 3};
}

template <class F>
Proof draw_proof(const char* name, F f) {
  return {name, 0, [=](Inputs& in) { return Tensors{f(in, draw_on(in.device()))}; }};
}

const Variant bits{"random", "bits", DType::i32, draw_proof("a ragged end", [](Inputs&, Draw draw) {
                     return random_bits({1003}, draw);
                   })};
const Variant integer{"random", "integers", DType::i64,
                      draw_proof("a ragged end", [](Inputs&, Draw draw) {
                        return integers({1003}, 1'000'000'007, draw);
                      })};
template <class T>
const Variant uniforms{"random", "uniform", dtype_of<T>,
                       draw_proof("a ragged end", [](Inputs&, Draw draw) {
                         return uniform({1003}, draw, dtype_of<T>);
                       })};
template <class T>
const Variant normals{"random", "normal", dtype_of<T>,
                      draw_proof("a ragged end", [](Inputs&, Draw draw) {
                        return normal({1003}, draw, dtype_of<T>);
                      })};
template <class T>
const Variant bernoullis{
    "random", "bernoulli", dtype_of<T>,
    draw_proof("a ragged end",
               [](Inputs& in, Draw draw) { return bernoulli(in.uniform({1003}, 0, 1), draw); }),
    draw_proof("one element behind", [](Inputs& in, Draw draw) {
      return bernoulli(in.uniform({1003}, 0, 1).slice(0, 1, 1003), draw);
    })};

// A division rounds where the reference, in f64, does not.
template <class T>
Proof dropout_proof(const char* name, std::int64_t skipped, double keep) {
  constexpr double bar = dtype_of<T> == DType::f64   ? 1e-15
                         : dtype_of<T> == DType::f32 ? 1e-6
                                                     : 1e-2;
  return {name, bar, [=](Inputs& in) {
            const Tensor x = in.normal({1003}).slice(0, skipped, 1003);
            return Tensors{dropout(x, keep, draw_on(in.device()))};
          }};
}
template <class T>
const Variant dropouts{"random", "dropout", dtype_of<T>, dropout_proof<T>("a ragged end", 0, 0.9),
                       dropout_proof<T>("one element behind", 1, 0.7)};

// ---- Launches

template <RandomKind kind, class T>
void launch_numbers(const Variant& variant, const RandomProblem& problem) {
  constexpr int made = numbers_of_block<kind>;
  cuda::launch(
      variant, make_numbers<kind, T>, cuda::threads_for(cuda::quotient_up(problem.count, made)),
      RandomArguments{problem.count, static_cast<const StepState*>(problem.state), problem.purpose,
                      problem.index, problem.out, problem.given, problem.keep, problem.below});
}

void fill(const RandomProblem& problem) {
  if (problem.kind == RandomKind::bits)
    return launch_numbers<RandomKind::bits, std::int32_t>(bits, problem);
  if (problem.kind == RandomKind::integers)
    return launch_numbers<RandomKind::integers, std::int64_t>(integer, problem);
  with_type(problem.dtype, [&]<class T>(Type<T>) {
    if constexpr (is_floating(dtype_of<T>)) {
      if (problem.kind == RandomKind::uniform)
        launch_numbers<RandomKind::uniform, T>(uniforms<T>, problem);
      else if (problem.kind == RandomKind::normal)
        launch_numbers<RandomKind::normal, T>(normals<T>, problem);
      else if (problem.kind == RandomKind::bernoulli)
        launch_numbers<RandomKind::bernoulli, T>(bernoullis<T>, problem);
      else
        launch_numbers<RandomKind::dropout, T>(dropouts<T>, problem);
    }
  });
}

const Registered<RandomBackend> registered(random_family(), Device::cuda, Source::own,
                                           {"philox", fill});

}  // namespace
}  // namespace likely::kernels
