# SPDX-License-Identifier: MIT
"""The work of bench-step in PyTorch, for bench/step.sh.

    python3 peer_step.py BRANCH BATCH THREADS STEPS channels_last|default [float32|bfloat16]

Prints one line: what, branch, batch, threads, median wall and CPU seconds of a training step
(forward, backward, Adam) of the same networks on random input. bfloat16: the forward pass and the
loss under autocast, as PyTorch recommends, weights and Adam in float32."""
import statistics
import sys
import time

import torch
from torch import nn


def layer(inputs, outputs, size, stride, pad):
    return [nn.Conv2d(inputs, outputs, size, stride, pad, bias=False), nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Sequential(*layer(inputs, outputs, 3, stride, 1), nn.ReLU(inplace=True),
                                  *layer(outputs, outputs, 3, 1, 1))
        self.shortcut = (nn.Sequential(*layer(inputs, outputs, 1, stride, 0))
                         if stride > 1 or inputs != outputs else nn.Identity())

    def forward(self, x):
        return torch.relu_(self.main(x) + self.shortcut(x))


def resnet18(channels):
    blocks = [*layer(channels, 64, 7, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*blocks)


class Model(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.audio = resnet18(1) if branch != "video" else None
        self.video = resnet18(3) if branch != "audio" else None
        self.fused = branch == "both"
        self.trunk = nn.Sequential(nn.Linear(1024, 64), nn.ReLU(), nn.Dropout(0.1),
                                   nn.Linear(64, 7))
        self.head = nn.Linear(512, 7)

    def forward(self, audio, video, batch):
        features = []
        if self.audio is not None:
            features.append(self.audio(audio).mean((2, 3)))
        if self.video is not None:
            features.append(self.video(video).mean((2, 3)).view(batch, 3, 512).mean(1))
        if not self.fused:
            return self.head(features[0])
        return self.trunk(torch.cat([nn.functional.layer_norm(f, (512,)) for f in features], 1))


def main():
    branch, batch, threads, steps, layout = sys.argv[1:6]
    batch = int(batch)
    low = len(sys.argv) > 6 and sys.argv[6] == "bfloat16"
    torch.set_num_threads(int(threads))
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = Model(branch).to(memory_format=memory)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, eps=1e-7, weight_decay=1e-4)
    audio = (torch.rand(batch, 1, 257, 188) * 2 - 1).to(memory_format=memory)
    video = (torch.rand(batch * 3, 3, 224, 224) * 2 - 1).to(memory_format=memory)
    labels = torch.arange(batch) % 7
    wall, cpu = [], []
    for step in range(int(steps) + 1):
        start = time.monotonic(), time.process_time()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = nn.functional.cross_entropy(model(audio, video, batch), labels)
        loss.backward()
        optimizer.step()
        if step > 0:
            wall.append(time.monotonic() - start[0])
            cpu.append(time.process_time() - start[1])
    print(f"torch-{torch.__version__.split('+')[0]}-{layout}", branch, batch, threads,
          f"{statistics.median(wall):.4f}", f"{statistics.median(cpu):.4f}", sep="\t")


main()
