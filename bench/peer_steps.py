#!/usr/bin/env python3
"""Training steps of the reference workloads in PyTorch on a GPU.

    python3 bench/peer_steps.py FOLDER eager vae dcgan wgan-gp pixelcnn

FOLDER is that of peer_torch.py, which defines the models; the mode is eager, compile, or compile-graphs (torch.compile with
mode="reduce-overhead", which records CUDA graphs). A line a workload, part and precision: the median of --steps in ms, each
waited for.
"""
import argparse
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("mode", choices=["eager", "compile", "compile-graphs"])
parser.add_argument("workloads", nargs="+")
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--warmup", type=int, default=20)
given = parser.parse_args()
sys.path.insert(0, given.folder)
import peer_torch  # noqa: E402
import torch  # noqa: E402

if given.mode == "compile-graphs":
    compiled = torch.compile
    torch.compile = lambda step: compiled(step, mode="reduce-overhead")


def median_ms(step):
    times = []
    for _ in range(given.warmup + given.steps):
        begin = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return sorted(times[given.warmup:])[given.steps // 2] * 1e3


torch.backends.cudnn.benchmark = True
print(f"{torch.cuda.get_device_name()}; PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}", flush=True)
for workload in given.workloads:
    layout = "" if workload == "vae" else "+channels_last"
    for precision in ("f32", "tf32"):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.compiler.reset()
        torch.manual_seed(0)
        mode = given.mode.split("-")[0]
        work = peer_torch.WORKLOADS[workload](peer_torch.Ctx("cuda", {mode, layout.strip("+")}))
        for part, step in work.parts.items():
            line = f"{workload:12}{part:12}{precision:6}PyTorch {given.mode + layout:30}"
            try:
                print(f"{line}{median_ms(step):9.3f} ms", flush=True)
            except Exception as error:  # one that fails loses only itself
                print(f"{line}   FAILED: {str(error).splitlines()[0]}", flush=True)
