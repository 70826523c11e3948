"""Writes pixelcnn.safetensors beside this file: a small gated PixelCNN computed by PyTorch with masked kernels, as the
paper defines it, for tests/zoo/pixelcnn.cpp. Run it as make_golden.py.

Images of 6x5, width 4, a first layer and two others, a batch of 3. Weights are named and laid out as our checkpoints have
them: live taps only, channels last. The logits and the loss stand under result/, gradients under gradient/.
"""
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

WIDTH, LAYERS, BATCH, ROWS, COLUMNS = 4, 2, 3, 6, 5

torch.manual_seed(20160616)
torch.use_deterministic_algorithms(True)
weights = {}


def convolution(name, fan_in, fan_out, rows=1, columns=1):
    scale = 1.5 / math.sqrt(fan_in * rows * columns)
    weights[f"{name}.weight"] = (scale * torch.randn(fan_out, rows, columns, fan_in)).requires_grad_()
    weights[f"{name}.bias"] = (0.3 * torch.randn(fan_out)).requires_grad_()


for i in range(LAYERS + 1):
    fan_in = WIDTH if i else 1
    convolution(f"layers.{i}.vertical", fan_in, 2 * WIDTH, *((2, 3) if i else (3, 7)))
    convolution(f"layers.{i}.horizontal", fan_in, 2 * WIDTH, *((1, 2) if i else (1, 3)))
    convolution(f"layers.{i}.joined", 2 * WIDTH, 2 * WIDTH)
    convolution(f"layers.{i}.out", WIDTH, WIDTH)
convolution("hidden", WIDTH, WIDTH)
convolution("logit", WIDTH, 1)
x = (torch.rand(BATCH, 1, ROWS, COLUMNS) < 0.4).float()


def masked(name, h, rows, columns):
    """a kernel of rows x columns whose taps from the live ones on, in the order of rows, are 0"""
    live = weights[f"{name}.weight"].permute(0, 3, 1, 2)
    kernel = torch.zeros(*live.shape[:2], rows, columns)
    kernel[:, :, :live.shape[2], :live.shape[3]] = live
    return F.conv2d(h, kernel, weights[f"{name}.bias"], padding=(rows // 2, columns // 2))


def gate(h):
    a, b = h.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


above = left = x
for i in range(LAYERS + 1):
    side = 3 if i else 7
    vertical = masked(f"layers.{i}.vertical", above, side, side)
    h = masked(f"layers.{i}.horizontal", left, 1, side) + masked(f"layers.{i}.joined", vertical, 1, 1)
    h = masked(f"layers.{i}.out", gate(h), 1, 1)
    above, left = gate(vertical), h + left if i else h
logits = masked("logit", F.relu(masked("hidden", F.relu(left), 1, 1)), 1, 1)
loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / BATCH
loss.backward()

saved = {"x": x.permute(0, 2, 3, 1), "result/logits": logits.permute(0, 2, 3, 1), "result/loss": loss}
for name, weight in weights.items():
    saved[name], saved[f"gradient/{name}"] = weight, weight.grad
save_file({name: value.detach().contiguous() for name, value in saved.items()},
          pathlib.Path(__file__).with_name("pixelcnn.safetensors"))
