# SPDX-License-Identifier: MIT
"""The peer of bench/image.c: Pillow and torchvision's transforms, as most training scripts have it.

    python3 bench/peer_image.py PICTURE.jpg

prints pictures per CPU second on one core.
"""
import sys
import time

import torch
from PIL import Image
from torchvision import transforms

torch.set_num_threads(1)
torch.manual_seed(1)
COUNT = 300
transform = transforms.Compose([
    transforms.RandomResizedCrop(224),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])
transform(Image.open(sys.argv[1]).convert("RGB"))
start = time.process_time()
for _ in range(COUNT):
    transform(Image.open(sys.argv[1]).convert("RGB"))
print("%.1f" % (COUNT / (time.process_time() - start)))
