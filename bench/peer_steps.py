#!/usr/bin/env python3
"""Training steps of the reference workloads in PyTorch on a GPU, all modes in one process.

    python3 bench/peer_steps.py FOLDER vae dcgan wgan-gp pixelcnn

FOLDER is that of peer_torch.py, which defines the models. A line a workload, part, precision and mode: the median of 100
steps in ms, each waited for.
"""
import sys
import time

sys.path.insert(0, sys.argv[1])
import peer_torch  # noqa: E402
import torch  # noqa: E402

STEPS, WARM_UP = 100, 20


def median_ms(step):
    times = []
    for _ in range(WARM_UP + STEPS):
        begin = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return sorted(times[WARM_UP:])[STEPS // 2] * 1e3


torch.backends.cudnn.benchmark = True
print(f"{torch.cuda.get_device_name()}; PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}", flush=True)
for mode in ("eager", "compile"):
    for precision in ("f32", "tf32"):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.compiler.reset()
        for workload in sys.argv[2:]:
            layout = "" if workload == "vae" else "+channels_last"
            torch.manual_seed(0)
            work = peer_torch.WORKLOADS[workload](peer_torch.Ctx("cuda", {mode, layout.strip("+")}))
            for part, step in work.parts.items():
                line = f"{workload:10}{part:12}{precision:6}PyTorch {mode + layout:24}"
                try:
                    print(f"{line}{median_ms(step):9.3f} ms", flush=True)
                except Exception as error:  # a mode that fails loses only itself
                    print(f"{line}   FAILED: {str(error).splitlines()[0]}", flush=True)
