# SPDX-License-Identifier: MIT
"""Golden numbers of the picture loader, from Pillow and torchvision.

    python3 tests/golden/make/image.py > tests/golden/image.tsv

Made with Pillow 11.3.0, torchvision 0.24.1. A row: picture size, crop, output size, CRC32C of the
resized RGB bytes, and three normalised values (torchvision's ToTensor and Normalize, hexadecimal
floats). Pillow 13 would start with the rows where that is cheaper, which rounds differently; versions
that torchvision had when the reference was made begin with the columns.
The picture is the same formula as in tests/golden/test_image_golden.c.
"""
import numpy as np
from PIL import Image
from torchvision import transforms

CASES = [
    (173, 131, (0, 0, 173, 131), 224),
    (173, 131, (0, 0, 173, 131), 64),
    (173, 131, (5, 7, 60, 41), 32),
    (173, 131, (172, 130, 1, 1), 8),
    (173, 131, (20, 3, 100, 128), 100),
    (173, 131, (20, 3, 100, 128), 1),
    (480, 360, (0, 0, 480, 360), 224),
    (480, 360, (101, 33, 222, 199), 224),
    (480, 360, (17, 0, 403, 360), 224),
    (480, 360, (200, 100, 224, 224), 224),
    (480, 360, (1, 2, 478, 357), 7),
    (480, 360, (90, 0, 270, 360), 224),
    (480, 360, (3, 40, 60, 80), 224),
    (1200, 37, (0, 0, 1200, 37), 30),
]


def crc32c(data):
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    crc = 0xFFFFFFFF
    for b in data:
        crc = table[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def picture(w, h):
    y, x = np.mgrid[0:h, 0:w].astype(np.int64)
    red = (x * 5 + y * 3 + (x * y) % 61) % 256
    green = (x * x // 7 + y) % 256
    blue = (255 - x // 2 + (y // 9 % 2) * 120) % 256
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8), "RGB")


norm = transforms.Compose([
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])
print("#synib-golden-image 1")
print("w\th\tx\ty\tcw\tch\tsize\tcrc32c\tfirst\tmiddle\tlast")
for w, h, (x, y, cw, ch), size in CASES:
    out = picture(w, h).crop((x, y, x + cw, y + ch)).resize((size, size), Image.BILINEAR)
    t = norm(out).numpy()
    values = [float(t[0, 0, 0]), float(t[1, size // 2, size // 2]), float(t[2, -1, -1])]
    print(w, h, x, y, cw, ch, size, f"{crc32c(out.tobytes()):08x}",
          *[v.hex() for v in values], sep="\t")
