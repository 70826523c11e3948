# What the benchmarks refuse before anything is timed: exit 1, and why.
#   cmake -DKERNELS=build/cpu/bench/kernels -DMODELS=build/cpu/bench/models -P tests/bench.cmake
cmake_minimum_required(VERSION 3.25)

function(refuses expected)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE said TIMEOUT 60)
  string(FIND "${said}" "${expected}" at)
  if(NOT code EQUAL 1 OR at EQUAL -1 OR NOT out STREQUAL "")
    message(SEND_ERROR "${ARGN}\nended with ${code} and said:\n${out}${said}It should end with 1 and say:\n${expected}")
  endif()
endfunction()

set(ENV{LIKELY_EMULATE} forward)  # also where there is a GPU
set(no_gpu "bench: --device cuda has no GPU to time: ")
refuses(${no_gpu} ${KERNELS} --device cuda)
refuses(${no_gpu} ${KERNELS} --device cuda --filter softmax --rounds 1)
refuses(${no_gpu} ${MODELS} --device cuda)
refuses(${no_gpu} ${MODELS} --device cuda --peer-python python --peer-script none.py)
refuses("bench kernels: --filter sotfmax: no row's name contains it. The nearest are \"softmax of [400000, 10] f32\""
        ${KERNELS} --filter sotfmax)
refuses("bench kernels: --filter 8192: no row's name contains it." ${KERNELS} --filter 8192)  # a GPU's
refuses("--threads: " ${MODELS} --threads 0)
refuses("--rounds: " ${KERNELS} --rounds 0)
refuses("bench models: --peer-python and --peer-script go together." ${MODELS} --peer-python python)
