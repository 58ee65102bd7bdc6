#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/model.tsv: the whole two-branch model and a SynIB step in PyTorch.

    python3 tests/golden/make/model.py > tests/golden/model.tsv     (torch 2.9.1, numpy)

All numbers come from a float64 run. A float32 run of the same is compared with it and the drift
printed to stderr: it is what the tolerances in test_model_golden.c are set from.

Nothing is stored but results: weights and inputs follow from a formula that both sides know,
    u(name, i) = (mix(fnv1a(name) + i * 0x9E3779B9) >> 8) * 2^-23 - 1        (all mod 2^32)
which is exact in float32. Weights: convolutions u * sqrt(6 / fan_in), batch-norm weights
1 + 0.1 u, batch-norm biases 0.1 u, linear layers u / sqrt(fan_in); computed in double, rounded to
float32. The loss is R section 4.1 with lambda 1: cross-entropy of the fused logits, of both
unimodal heads (on detached features), and KL(masked fused || unmasked modality's unimodal).

Columns: section, name, then values. `stats` are: sum, L2 norm, dot product with u("probe:" + name),
first, middle and last element.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

WIDTH, BATCH, FRAMES, CLASSES, TRUNK, STEPS = 16, 4, 3, 7, 24, 10
AUDIO, VIDEO = (40, 33), (32, 40)


def u(name, count):
    h = 2166136261
    for c in name.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + h) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    return (x >> np.uint64(8)).astype(np.float64) * 2.0**-23 - 1


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTH, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        cin = WIDTH
        for s in range(4):
            cout = WIDTH << s
            setattr(self, f"layer{s + 1}",
                    nn.Sequential(Block(cin, cout, 2 if s else 1), Block(cout, cout, 1)))
            cin = cout
        self.head = nn.Linear(cin, CLASSES)

    def forward(self, x, frames):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3)).view(-1, frames, x.shape[1]).mean(1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.audio, self.video = Encoder(1), Encoder(3)
        self.fusion = nn.ModuleDict({"trunk": nn.Linear(16 * WIDTH, TRUNK),
                                     "head": nn.Linear(TRUNK, CLASSES)})

    def fuse(self, za, zv):
        return self.fusion["head"](F.relu(self.fusion["trunk"](torch.cat([za, zv], 1))))


def fill(model):
    for name, p in model.named_parameters():
        x = u(name, p.numel())
        if p.dim() > 1:
            fan_in = p[0].numel()
            x = x * np.sqrt(6.0 / fan_in) if p.dim() == 4 else x / np.sqrt(float(fan_in))
        elif "head" in name or "trunk" in name:
            weight = dict(model.named_parameters())[name.replace("bias", "weight")]
            x = x / np.sqrt(float(weight.shape[1]))
        else:
            x = 1 + 0.1 * x if name.endswith("weight") else 0.1 * x
        p.data.copy_(torch.from_numpy(x.astype(np.float32).reshape(p.shape)))


def stats(name, t):
    x = t.detach().double().numpy().ravel()
    return [x.sum(), np.sqrt((x * x).sum()), x @ u("probe:" + name, x.size), x[0], x[x.size // 2],
            x[-1]]


def run(dtype):
    out = {}
    model = Model().to(dtype)
    fill(model)
    model.train()

    def array(name, *shape):
        x = u(name, int(np.prod(shape))).astype(np.float32).reshape(shape)
        return torch.from_numpy(x).to(dtype)

    audio = array("input.audio", BATCH, 1, *AUDIO)
    video = array("input.video", BATCH * FRAMES, 3, *VIDEO)
    label = torch.tensor([(3 * i) % CLASSES for i in range(BATCH)])
    mask = [(array("mask." + m, BATCH, 8 * WIDTH) < -0.2).to(dtype) for m in ("audio", "video")]
    noise = [array("fill." + m, BATCH, 8 * WIDTH) for m in ("audio", "video")]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, weight_decay=1e-4)

    def losses():
        fa, fv = model.audio(audio, 1), model.video(video, FRAMES)
        ua, uv = model.audio.head(fa.detach()), model.video.head(fv.detach())
        za, zv = (F.layer_norm(f, f.shape[1:]) for f in (fa, fv))
        fused = model.fuse(za, zv)
        ma = model.fuse((1 - mask[0]) * za + mask[0] * noise[0], zv)
        mv = model.fuse(za, (1 - mask[1]) * zv + mask[1] * noise[1])

        def kl(p, r):  # KL(model || reference), batch mean
            lp, lr = F.log_softmax(p, 1), F.log_softmax(r.detach(), 1)
            return (lp.exp() * (lp - lr)).sum(1).mean()

        terms = [F.cross_entropy(x, label) for x in (fused, ua, uv)] + [kl(ma, uv), kl(mv, ua)]
        return fused, ua, uv, terms

    for step in range(STEPS + 1):
        fused, ua, uv, terms = losses()
        total = sum(terms)
        out["loss", str(step)] = [total.item()] + [x.item() for x in terms]
        if step == 0:
            for name, x in (("fused", fused), ("audio", ua), ("video", uv)):
                out["logits", name] = x.detach().double().numpy().ravel().tolist()
        if step == STEPS:
            break
        optimiser.zero_grad()
        total.backward()
        if step == 0:
            for name, p in model.named_parameters():
                out["grad", name] = stats(name, p.grad)
        optimiser.step()
    for name, x in model.state_dict().items():
        out["final", name] = stats(name, x) if x.dim() else [float(x)]
    model.eval()
    with torch.no_grad():
        fused, ua, uv, _ = losses()
    for name, x in (("fused", fused), ("audio", ua), ("video", uv)):
        out["eval", name] = x.double().numpy().ravel().tolist()
    return out


def main():
    torch.set_num_threads(1)
    exact, single = run(torch.float64), run(torch.float32)
    drift = {}
    print("# made by tests/golden/make/model.py with torch " + torch.__version__.split("+")[0])
    for key, values in exact.items():
        print("\t".join(list(key) + ["%.12g" % v for v in values]))
        scale = max(abs(v) for v in values)
        drift[key[0]] = max(drift.get(key[0], 0),
                            max(abs(a - b) for a, b in zip(values, single[key])) / scale)
    for section, value in drift.items():
        print(f"float32 against float64, {section}: {value:.2g} of a row's largest value",
              file=sys.stderr)


main()
