#!/usr/bin/env python3
"""PyTorch's products and convolutions (cuBLAS, cuDNN) on the problems of a table of ours, on the GPU.

    likely bench kernels --device cuda --precision tf32 --json kernels.json
    python3 bench/peer_kernels.py kernels.json

A time is that of one call in a replayed graph of many, so that Python's share is not in it; cuDNN tries its algorithms
first. Images lie as ours do, channels last. Where padding differs on two sides, the image is padded before.
"""
import argparse
import json
import math

import torch
import torch.nn.functional as F


def microseconds(call, calls=20, replays=9):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    times = []
    for _ in range(replays + 1):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / calls)
    return sorted(times[1:])[replays // 2]


def product(p, random):
    a, b = random(p["m"], p["k"]), random(p["k"], p["n"])
    out = torch.empty(p["m"], p["n"], dtype=a.dtype, device="cuda")
    return lambda: torch.mm(a, b, out=out)


def convolution(p, random):
    top, bottom, left, right = p["padding"]
    x = random(p["batch"], p["in"], *p["image"])
    w = random(p["out"], p["in"], *p["kernel"])
    padding = [top, left]
    if (top, left) != (bottom, right):
        x, padding = F.pad(x, (left, right, top, bottom)), [0, 0]
    x, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, w))
    if p["direction"] == "forward":
        return lambda: F.conv2d(x, w, None, p["stride"], padding)
    y = F.conv2d(x, w, None, p["stride"], padding)
    g = random(*y.shape).contiguous(memory_format=torch.channels_last)
    wanted = [p["direction"] == "data gradient", p["direction"] == "weight gradient", False]
    return lambda: torch.ops.aten.convolution_backward(g, x, w, [0], p["stride"], padding, [1, 1], False, [0, 0], 1, wanted)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("table")
table = json.load(open(parser.parse_args().table))
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = table["precision"] == "tf32"
dtype = torch.bfloat16 if table["precision"] == "bf16" else torch.float32
ratios = {}
print(f"{torch.cuda.get_device_name()}, {table['precision']}; PyTorch {torch.__version__}, "
      f"cuDNN {torch.backends.cudnn.version()}; ratio = PyTorch's time / ours")
print(f"{'':26}{'':>24}{'ours us':>10}{'PyTorch us':>12}{'ratio':>8}")
with torch.no_grad():
    for row in table["rows"]:
        if "problem" not in row:
            continue
        make = product if "m" in row["problem"] else convolution
        call = make(row["problem"], lambda *shape: torch.randn(*shape, dtype=dtype, device="cuda"))
        theirs = microseconds(call)
        ratio = theirs / row["own_us"]
        print(f"{row['name']:26}{row['sizes']:>24}{row['own_us']:10.1f}{theirs:12.1f}{ratio:8.2f}", flush=True)
        family = "products" if make is product else row["name"].removesuffix(" " + row["problem"]["direction"])
        ratios.setdefault(family, []).append(math.log(ratio))
for family, logs in ratios.items():
    print(f"geometric mean of {family}: {math.exp(sum(logs) / len(logs)):.2f}")
