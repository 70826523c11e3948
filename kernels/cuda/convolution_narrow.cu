// Pixels of few channels. A tile would hold little but zeros: here a thread has a pixel and all its
// channels, and the weights lie in shared memory, those of a term beside each other.
#include "kernels/cuda/convolution_proofs.h"
#include "kernels/cuda/convolution_tiles.h"

namespace likely::kernels::cuda {
namespace {

constexpr int threads = 128, most_channels = 4;
constexpr std::int64_t most_terms = 48 * 1024 / 16;  // whose weights fit

template <class T, bool tf32, bool packs>
__global__ void __launch_bounds__(threads) narrow(PixelsProblem p) {
  const Phase& phase = phase_of(p);
  const Gather& of = phase.gather;
  const int channels = static_cast<int>(p.n), terms = static_cast<int>(of.length());
  Pack<float>* const weights = &shared<Pack<float>>();
  for (int term = static_cast<int>(threadIdx.x); term < terms; term += threads) {
    const T* const from = static_cast<const T*>(phase.weights) + term;
    LIKELY_UNROLL
    for (int c = 0; c < most_channels; ++c)
      weights[term].value[c] = c < channels ? operand<T, tf32>(from[c * terms]) : 0.0f;
  }
  __syncthreads();
  const std::int64_t pixel = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (pixel >= phase.pixels)
    return;

  T* const c = row_of<T>(p, pixel);
  float sum[most_channels];
  LIKELY_UNROLL
  for (int i = 0; i < most_channels; ++i)
    sum[i] = p.add && i < channels ? float(c[i]) : 0.0f;
  const Sight sight(of, static_cast<int>(pixel), true);
  const T* const source = static_cast<const T*>(of.source) + sight.offset;
  constexpr int size = packs ? Pack<T>::size : 1;
  Term term(of, 0);
  for (int first = 0; first < terms; first += static_cast<int>(of.channels)) {
    const T* const from = source + term.offset(of);
    const int here = term.seen(sight) ? static_cast<int>(of.channels) : 0;
    for (int k = 0; k < here; k += size) {
      Pack<T> x;
      if constexpr (packs)
        x = load16(from + k);
      else
        x.value[0] = from[k];
      LIKELY_UNROLL
      for (int j = 0; j < size; ++j) {
        LIKELY_UNROLL
        for (int i = 0; i < most_channels; ++i)
          sum[i] =
              multiply_add(operand<T, tf32>(x.value[j]), weights[first + k + j].value[i], sum[i]);
      }
    }
    term.advance(of, static_cast<int>(of.channels));
  }
  LIKELY_UNROLL
  for (int i = 0; i < most_channels; ++i)
    if (i < channels)
      c[i] = T(activated(p, p.biased ? sum[i] + float(static_cast<const T*>(p.bias)[i]) : sum[i]));
}

template <class T>
const Variant by_packs = narrow_pixels("narrow pixels", dtype_of<T>, Products::f32, true);
template <class T>
const Variant by_elements = narrow_pixels("narrow pixels elements", dtype_of<T>, Products::f32,
                                          false);
const Variant tf32_by_packs = narrow_pixels("narrow pixels tf32", DType::f32, Products::tf32, true);
const Variant tf32_by_elements =
    narrow_pixels("narrow pixels tf32 elements", DType::f32, Products::tf32, false);

template <class T, bool tf32, bool packs>
bool launch_narrow(const Variant& variant, const PixelsProblem& p) {
  if (!variant.usable())
    return false;
  launch(variant, narrow<T, tf32, packs>,
         Grid{dim3(static_cast<unsigned>(quotient_up(p.m, threads)), 1,
                   static_cast<unsigned>(p.batch)),
              threads, static_cast<std::size_t>(p.k) * sizeof(Pack<float>)},
         p);
  return true;
}

template <class T, bool tf32 = false>
bool launch_narrow(const Variant& packed, const Variant& single, const PixelsProblem& p,
                   bool packs) {
  return (packs && launch_narrow<T, tf32, true>(packed, p)) ||
         launch_narrow<T, tf32, false>(single, p);
}

}  // namespace

bool narrow_serves(std::int64_t channels, std::int64_t terms) {
  return channels <= most_channels && terms > 0 && terms <= most_terms;
}

bool convolution_narrow(const PixelsProblem& p, bool tf32, bool packs) {
  return tf32 ? launch_narrow<float, true>(tf32_by_packs, tf32_by_elements, p, packs)
         : p.dtype == DType::f32
             ? launch_narrow<float>(by_packs<float>, by_elements<float>, p, packs)
             : launch_narrow<bf16>(by_packs<bf16>, by_elements<bf16>, p, packs);
}

}  // namespace likely::kernels::cuda
