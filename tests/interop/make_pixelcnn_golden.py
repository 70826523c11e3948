"""Writes pixelcnn.safetensors, pixelcnn-colour.safetensors and plain-pixelcnn.safetensors beside this file: small PixelCNNs
computed by PyTorch with masked kernels, as the papers define them, for tests/zoo/pixelcnn.cpp and plain_pixelcnn.cpp. Run
it as make_golden.py.

Images of 6x5, width 4, a first layer and two others, a batch of 3: the gated network of black and white pixels; the same of
three channels of 5 levels; and the plain network of black and white pixels. Weights are named and laid out as our checkpoints
have them: live taps only, channels last. The logits and the loss stand under result/, gradients under gradient/.
"""
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

WIDTH, LAYERS, BATCH, ROWS, COLUMNS = 4, 2, 3, 6, 5

torch.use_deterministic_algorithms(True)
weights = {}


def convolution(name, fan_in, fan_out, rows=1, columns=1, bias=True):
    scale = 1.5 / math.sqrt(fan_in * rows * columns)
    weights[f"{name}.weight"] = (scale * torch.randn(fan_out, rows, columns, fan_in)).requires_grad_()
    if bias:
        weights[f"{name}.bias"] = (0.3 * torch.randn(fan_out)).requires_grad_()


def dense(name, rows, columns, first=(0, 0)):
    """a kernel of rows x columns whose live taps begin at `first`, and else 0"""
    live = weights[f"{name}.weight"].permute(0, 3, 1, 2)
    kernel = torch.zeros(*live.shape[:2], rows, columns)
    kernel[:, :, first[0]:first[0] + live.shape[2], first[1]:first[1] + live.shape[3]] = live
    return kernel


def apply(name, h, kernel):
    return F.conv2d(h, kernel, weights.get(f"{name}.bias"), padding=(kernel.shape[2] // 2, kernel.shape[3] // 2))


def masked(name, h, rows=1, columns=1):
    return apply(name, h, dense(name, rows, columns))


def gate(h):
    a, b = h.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


def gated(channels):
    for i in range(LAYERS + 1):
        fan_in = WIDTH if i else channels
        convolution(f"layers.{i}.vertical", fan_in, 2 * WIDTH, *((2, 3) if i else (3, 7)))
        convolution(f"layers.{i}.horizontal", fan_in, 2 * WIDTH, *((1, 2) if i else (1, 3)))
        convolution(f"layers.{i}.joined", 2 * WIDTH, 2 * WIDTH)
        convolution(f"layers.{i}.out", WIDTH, WIDTH)

    def features(x):
        above = left = x
        for i in range(LAYERS + 1):
            side = 3 if i else 7
            vertical = masked(f"layers.{i}.vertical", above, side, side)
            h = masked(f"layers.{i}.horizontal", left, 1, side) + masked(f"layers.{i}.joined", vertical)
            h = masked(f"layers.{i}.out", gate(h))
            above, left = gate(vertical), h + left if i else h
        return left

    return WIDTH, features


def plain(channels):
    convolution("first.above", channels, 2 * WIDTH, 3, 7)
    convolution("first.left", channels, 2 * WIDTH, 1, 3, bias=False)
    for i in range(LAYERS):
        convolution(f"blocks.{i}.in", 2 * WIDTH, WIDTH)
        convolution(f"blocks.{i}.masked.above", WIDTH, WIDTH, 1, 3)
        convolution(f"blocks.{i}.masked.left", WIDTH, WIDTH, 1, 2, bias=False)
        convolution(f"blocks.{i}.out", WIDTH, 2 * WIDTH)

    def square(name, h, side):
        """one masked square kernel: the rows above the middle, and of the middle row what is to the left"""
        kernel = dense(f"{name}.above", side, side) + dense(f"{name}.left", side, side, (side // 2, 0))
        return apply(f"{name}.above", h, kernel)

    def features(x):
        h = square("first", x, 7)
        for i in range(LAYERS):
            inner = masked(f"blocks.{i}.in", F.relu(h))
            h = h + masked(f"blocks.{i}.out", F.relu(square(f"blocks.{i}.masked", F.relu(inner), 3)))
        return h

    return 2 * WIDTH, features


def write(file, network, channels, levels):
    torch.manual_seed(20160616)
    weights.clear()
    width, features = network(channels)
    outputs = 1 if levels == 2 else levels
    for c in range(channels):
        convolution(f"head.{c}.hidden", width + c, width)
        convolution(f"head.{c}.logits", width, outputs)
    level = torch.randint(levels, (BATCH, channels, ROWS, COLUMNS))
    x = level.float() / (levels - 1)
    seen = F.relu(features(x))
    logits = [masked(f"head.{c}.logits", F.relu(masked(f"head.{c}.hidden", torch.cat([seen, x[:, :c]], 1))))
              for c in range(channels)]
    loss = sum(F.binary_cross_entropy_with_logits(l, x, reduction="sum") if levels == 2 else
               F.cross_entropy(l, level[:, c], reduction="sum") for c, l in enumerate(logits)) / BATCH
    loss.backward()
    logits = torch.stack(logits, 1)  # [batch, channels, outputs, rows, columns]
    saved = {"x": x.permute(0, 2, 3, 1), "result/logits": logits.permute(0, 3, 4, 1, 2), "result/loss": loss}
    for name, weight in weights.items():
        saved[name], saved[f"gradient/{name}"] = weight, weight.grad
    save_file({name: value.detach().contiguous() for name, value in saved.items()},
              pathlib.Path(__file__).with_name(file))


write("pixelcnn.safetensors", gated, 1, 2)
write("pixelcnn-colour.safetensors", gated, 3, 5)
write("plain-pixelcnn.safetensors", plain, 1, 2)
