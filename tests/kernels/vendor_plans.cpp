// cuDNN's plans for the zoo's problems, on GPUs that it is told of where there is none.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <string>

#include "bench/convolution_layers.h"
#include "kernels/attention.h"
#include "kernels/gpu.h"
#include "kernels/module.h"
#include "kernels/normalise.h"
#include "kernels/vendor/proofs.h"
#include "tests/kernels/convolution_problems.h"

using namespace likely;
using namespace likely::kernels;

namespace {

struct DescribedGpu {
  std::string name;
  int capability, multiprocessors, shared_memory, l2;
};
const DescribedGpu gpus[] = {{"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 41943040},
                             {"NVIDIA GeForce RTX 4090", 890, 128, 101376, 75497472},
                             {"NVIDIA H100 80GB HBM3", 900, 132, 232448, 52428800}};

std::string json_of(const DescribedGpu& gpu) {
  return fmt::format(
      R"({{"deviceVer":{},"driverVer":13000,"cudaDeviceId":0,"totalGlobalMem":24000000000,
"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,
"multiProcessorCount":{},"warpSize":32,"maxSharedMemoryPerBlock":49152,
"maxSharedMemoryPerBlockOptin":{},"reservedSharedMemoryPerBlock":1024,
"maxRegistersPerSM":65536,"maxCtasPerSM":24,"maxThreadsPerBlock":1024,"maxThreadsPerSM":1536,
"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"smClockRateKHz":1980000,
"memClockRateKHz":2619000,"l2CacheSize":{},"deviceName":"{}"}})",
      gpu.capability, gpu.multiprocessors, gpu.shared_memory, gpu.l2, gpu.name);
}

// The module's answer for a problem: the notes of its plan's engine, or -1 where it has none.
template <class Problem>
using Plan = int (*)(const Problem& problem, const std::string& gpu);
constexpr int tensor_core = 1 << 0, down_converts = 1 << 1, nondeterministic = 1 << 4;

// Null where there is no cuDNN of 9.8 or later, or a real GPU and its driver.
template <class Problem>
Plan<Problem> plan_of(const char* family) {
  std::string problem = module_exists("liblikely_cudnn.so") ? "" : "cuDNN was not there when built";
  if (find_gpu().driver != 0)
    problem = "there is a driver: the tests of the vendor's families run on its GPU";
  if (problem.empty()) {
    dlopen(FAKE_CUDA_LIBRARY, RTLD_NOW | RTLD_GLOBAL);  // what cuDNN then finds by name
    problem = open_module("liblikely_cudnn.so", "libcudnn.so.9");
  }
  const auto version = problem.empty() ? reinterpret_cast<std::size_t (*)()>(dlsym(
                                             dlopen("libcudnn.so.9", RTLD_NOW), "cudnnGetVersion"))
                                       : nullptr;
  if (problem.empty() && (!version || version() < 90800))
    problem = "cuDNN is older than 9.8, which takes no description of a GPU";
  if (!problem.empty()) {
    MESSAGE("skipped: ", problem);
    return nullptr;
  }
  void* const module = dlopen(CUDNN_MODULE, RTLD_NOW);
  const auto found = reinterpret_cast<Plan<Problem>>(
      dlsym(module, fmt::format("likely_cudnn_{}", family).c_str()));
  REQUIRE(static_cast<bool>(found));
  return found;
}

}  // namespace

TEST_CASE("vendor plans: every convolution of the zoo, in strict f32 without tensor cores") {
  const auto plan = plan_of<ConvolutionProblem>("convolution");
  if (!plan)
    return;
  int on_tensor_cores = 0;
  for (const DescribedGpu& gpu : gpus)
    for (const ConvolutionLayer& l : convolution_layers)
      for (const Direction direction : directions) {
        const ConvolutionSizes sizes{l.batch, l.image, l.in, l.out, l.kernel, l.options};
        INFO(gpu.name << ", " << l.workload << " " << l.in << " to " << l.out << ", direction "
                      << static_cast<int>(direction));
        ConvolutionProblem problem = problem_of(sizes, direction);
        problem.dtype = DType::f32;
        const int strict = plan(problem, json_of(gpu));
        CHECK(strict >= 0);
        CHECK((strict & (tensor_core | down_converts | nondeterministic)) == 0);
        problem.tf32 = true;
        const int tf32 = plan(problem, json_of(gpu));
        CHECK(tf32 >= 0);
        on_tensor_cores += (tf32 & tensor_core) != 0;
        problem.tf32 = false;
        problem.dtype = DType::bf16;
        CHECK(plan(problem, json_of(gpu)) >= 0);
      }
  CHECK(on_tensor_cores > 100);
}

TEST_CASE("vendor plans: convolutions of odd sizes, and none for what cuDNN was not asked for") {
  const auto plan = plan_of<ConvolutionProblem>("convolution");
  if (!plan)
    return;
  for (const ConvolutionSizes& sizes : odd_convolutions)
    for (const Direction direction : directions)
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
        ConvolutionProblem problem = problem_of(sizes, direction);
        problem.dtype = dtype;
        CHECK(plan(problem, json_of(gpus[2])) >= 0);
        problem.add = true;
        CHECK(plan(problem, json_of(gpus[2])) < 0);
      }
}

TEST_CASE("vendor plans: there are several to measure, each as strict, up to the last") {
  const auto plan = plan_of<ConvolutionProblem>("convolution");
  if (!plan)
    return;
  for (const Direction direction : directions) {
    ConvolutionProblem problem = problem_of({64, 16, 64, 64, 3, {.padding = 1}}, direction);
    problem.dtype = DType::f32;
    int found = 0;
    for (; found < 100 && plan(problem, json_of(gpus[2])) >= 0; problem.plan = ++found)
      CHECK((plan(problem, json_of(gpus[2])) & (tensor_core | down_converts | nondeterministic)) ==
            0);
    INFO("direction " << static_cast<int>(direction));
    CHECK(found > 1);
    CHECK(found < 100);
    MESSAGE(found, " plans");
  }
}

TEST_CASE("vendor plans: attention of DDPM's maps in bf16, and none in f32 or causal") {
  const auto plan = plan_of<AttentionProblem>("attention");
  if (!plan)
    return;
  for (const DescribedGpu& gpu : gpus)
    for (const Shape& shape : {Shape{64, 64, 64}, Shape{8, 256, 256}, Shape{8, 16, 256}})
      for (const bool gradients : {false, true}) {
        INFO(gpu.name << ", " << shape.numel() << (gradients ? " gradients" : ""));
        AttentionProblem problem{};
        problem.dtype = DType::bf16;
        problem.batch = shape[0];
        problem.queries = problem.keys = shape[1];
        problem.heads = 1;
        problem.channels = shape[2];
        problem.gradients = gradients;
        // Gradients of heads of more than 128 channels it has from Hopper on.
        const bool has = !gradients || shape[2] <= 128 || gpu.capability >= 900;
        const int notes = plan(problem, json_of(gpu));
        CHECK((notes >= 0) == has);
        problem.causal = true;
        CHECK(plan(problem, json_of(gpu)) < 0);
        problem.causal = false;
        problem.dtype = DType::f32;
        CHECK(plan(problem, json_of(gpu)) < 0);
      }
}

TEST_CASE("vendor plans: batch normalisation of DCGAN's maps, and none of groups or images") {
  const auto plan = plan_of<NormaliseProblem>("normalise");
  if (!plan)
    return;
  for (const DescribedGpu& gpu : gpus)
    for (const std::int64_t channels : {512, 256, 128, 64})
      for (const Activation activation : {Activation::relu, Activation::leaky_relu})
        for (const Whole whole : {Whole::values, Whole::gradients}) {
          INFO(gpu.name << ", " << channels << " channels, activation "
                        << static_cast<int>(activation)
                        << (whole == Whole::gradients ? " gradients" : ""));
          NormaliseProblem problem{};
          problem.dtype = DType::f32;
          problem.images = problem.group = 1;
          problem.positions = 64 * 1024 * 64 * 64 / (channels * channels);  // 32 x 32 to 4 x 4
          problem.channels = channels;
          problem.how.activation = activation;
          problem.whole = whole;
          CHECK(plan(problem, json_of(gpu)) >= 0);
          problem.group = 4;
          CHECK(plan(problem, json_of(gpu)) < 0);
          problem.group = 1;
          problem.images = 2;
          CHECK(plan(problem, json_of(gpu)) < 0);
        }
}

TEST_CASE("vendor plans: what attention and normalisation have to prove is the vendor's to serve") {
  const auto attention = plan_of<AttentionProblem>("attention");
  const auto normalise = plan_of<NormaliseProblem>("normalise");
  if (!attention || !normalise)
    return;
  for (const DescribedGpu& gpu : gpus)
    for (const bool gradients : {false, true}) {
      INFO(gpu.name << (gradients ? " gradients" : ""));
      AttentionProblem rows{};
      rows.dtype = DType::bf16;
      rows.batch = vendor_attention_shape[0];
      rows.queries = rows.keys = vendor_attention_shape[1];
      rows.heads = vendor_attention_shape[2];
      rows.channels = vendor_attention_shape[3];
      rows.gradients = gradients;
      CHECK(attention(rows, json_of(gpu)) >= 0);
      for (const DType dtype : {DType::f32, DType::bf16})
        for (const Activation activation :
             {Activation::none, Activation::relu, Activation::leaky_relu}) {
          NormaliseProblem maps{};
          maps.dtype = dtype;
          maps.images = maps.group = 1;
          maps.channels = vendor_normalise_shape[-1];
          maps.positions = vendor_normalise_shape.numel() / maps.channels;
          maps.how = {1e-5, activation, 0.25f};
          maps.whole = gradients ? Whole::gradients : Whole::values;
          CHECK(normalise(maps, json_of(gpu)) >= 0);
        }
    }
}
