"""Small files of splats of every kind, packed number by number from what the formats say: what the readers are held
against. Shares nothing with the writers, and knows no window."""

from __future__ import annotations

import gzip
import io
import json
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import zstandard
from PIL import Image

C0 = 0.28209479177387814
UPSIDE_DOWN_SH = (-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1)
"""Of the harmonics from degree 1 on: what becomes of each where y and z change their signs."""


@dataclass(frozen=True)
class Truth:
    """Splats as plain numbers: rows of places, logarithms of deviations, unit quaternions w x y z, logits, coefficients
    (N, K, 3)."""

    xyz: np.ndarray
    scales: np.ndarray
    turns: np.ndarray
    opacity: np.ndarray
    sh: np.ndarray


def truth(count: int = 300, degree: int = 3, seed: int = 0) -> Truth:
    rng = np.random.default_rng(seed)
    turns = rng.normal(size=(count, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    sh = rng.uniform(-0.9, 0.9, (count, (degree + 1) ** 2, 3))
    sh[:, 0] = rng.uniform(-1.7, 1.7, (count, 3))
    return Truth(rng.uniform(-3, 3, (count, 3)), rng.uniform(-7, -1, (count, 3)), turns, rng.uniform(-5, 5, count), sh)


def properties(degree: int) -> list[str]:
    rest = 3 * ((degree + 1) ** 2 - 1)
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(rest))]
    return [*names, "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


def row(t: Truth, i: int) -> dict[str, float]:
    """One splat by the names of INRIA's properties; harmonics go channel by channel."""
    out = dict(zip("xyz", t.xyz[i].tolist(), strict=True)) | {"nx": 0.0, "ny": 0.0, "nz": 0.0}
    rest = t.sh.shape[1] - 1
    for channel in range(3):
        out[f"f_dc_{channel}"] = float(t.sh[i, 0, channel])
        for k in range(rest):
            out[f"f_rest_{channel * rest + k}"] = float(t.sh[i, 1 + k, channel])
    out["opacity"] = float(t.opacity[i])
    out |= {f"scale_{k}": float(t.scales[i, k]) for k in range(3)}
    return out | {f"rot_{k}": 2.5 * float(t.turns[i, k]) for k in range(4)}  # of any length


def inria(t: Truth, order: str = "<", names: list[str] | None = None, comment: str = "", kind: str = "f") -> bytes:
    names = names or properties(math.isqrt(t.sh.shape[1]) - 1)
    word = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    head = f"ply\nformat {word} 1.0\n" + (f"comment {comment}\n" if comment else "")
    head += f"element vertex {len(t.xyz)}\n"
    head += "".join(f"property {'double' if kind == 'd' else 'float'} {name}\n" for name in names) + "end_header\n"
    rows = [[row(t, i).get(name, 7.0) for name in names] for i in range(len(t.xyz))]
    if not order:
        return head.encode() + "".join(" ".join(f"{v:.9g}" for v in r) + "\n" for r in rows).encode()
    return head.encode() + b"".join(struct.pack(f"{order}{len(r)}{kind}", *r) for r in rows)


def alpha(t: Truth, i: int) -> int:
    return round(255 / (1 + math.exp(-t.opacity[i])))


def splat(t: Truth) -> bytes:
    out = b""
    for i in range(len(t.xyz)):
        out += struct.pack("<3f", *t.xyz[i]) + struct.pack("<3f", *np.exp(t.scales[i]))
        out += bytes(min(255, max(0, round(255 * (0.5 + C0 * t.sh[i, 0, c])))) for c in range(3)) + bytes([alpha(t, i)])
        out += bytes(min(255, max(0, round(v * 128 + 128))) for v in t.turns[i])
    return out


def three(values: list[float]) -> int:
    """Numbers 0..1 in 11, 10 and 11 bits."""
    return round(values[0] * 2047) << 21 | round(values[1] * 1023) << 11 | round(values[2] * 2047)


def compressed(t: Truth, colours: bool = True, harmonics: bool = True) -> bytes:
    count, rest = len(t.xyz), 3 * (t.sh.shape[1] - 1) if harmonics else 0
    chunks = [range(a, min(count, a + 256)) for a in range(0, count, 256)]
    names = [f"{end}_{a}" for end in ("min", "max") for a in "xyz"]
    names += [f"{end}_scale_{a}" for end in ("min", "max") for a in "xyz"]
    names += [f"{end}_{a}" for end in ("min", "max") for a in "rgb"] if colours else []
    head = f"ply\nformat binary_little_endian 1.0\nelement chunk {len(chunks)}\n"
    head += "".join(f"property float {n}\n" for n in names) + f"element vertex {count}\n"
    head += "".join(f"property uint packed_{n}\n" for n in ("position", "rotation", "scale", "color"))
    head += f"element sh {count}\n" + "".join(f"property uchar f_rest_{i}\n" for i in range(rest)) if rest else ""
    out, words, bands = b"", b"", b""
    rgb = 0.5 + C0 * t.sh[:, 0]
    for chunk in chunks:
        parts = [t.xyz[chunk.start : chunk.stop], t.scales[chunk.start : chunk.stop], rgb[chunk.start : chunk.stop]]
        ends = [(p.min(0), p.max(0)) for p in parts]
        for low, high in ends[: 3 if colours else 2]:
            out += struct.pack("<6f", *low, *high)
        for i in chunk:
            share = [
                ((v[i] - low) / (high - low)).tolist() for v, (low, high) in zip((t.xyz, t.scales), ends, strict=False)
            ]
            q = t.turns[i]
            big = int(np.abs(q).argmax())
            q = q if q[big] > 0 else -q
            word = big
            for k in range(4):
                if k != big:
                    word = word << 10 | round((q[k] / math.sqrt(2) + 0.5) * 1023)
            low, high = ends[2] if colours else (np.zeros(3), np.ones(3))
            eight = [round(255 * v) for v in np.clip((rgb[i] - low) / (high - low), 0, 1)]
            colour = eight[0] << 24 | eight[1] << 16 | eight[2] << 8 | alpha(t, i)
            words += struct.pack("<4I", three(share[0]), word, three(share[1]), colour)
            values = t.sh[i, 1:].T.ravel() if rest else []
            bands += bytes(min(255, max(0, math.floor((v / 8 + 0.5) * 256))) for v in values)
    return head.encode() + b"end_header\n" + out + words + bands


def spz(t: Truth, version: int = 3, bits: int = 12, flags: int = 0) -> bytes:
    count, rest = len(t.xyz), t.sh.shape[1] - 1
    up = t.xyz * [1, -1, -1]
    if version == 1:
        places = up.astype("<f2").tobytes()
    else:
        places = b"".join(struct.pack("<i", round(v * 2**bits))[:3] for v in up.ravel())
    alphas = bytes(alpha(t, i) for i in range(count))
    colours = bytes(min(255, max(0, round(255 * (0.15 * v + 0.5)))) for v in t.sh[:, 0].ravel())
    scales = bytes(min(255, max(0, round((v + 10) * 16))) for v in t.scales.ravel())
    turns = b""
    for w, x, y, z in t.turns:
        q = np.array([x, -y, -z, w])
        if version < 3:
            turns += bytes(round((v * (1 if w >= 0 else -1) + 1) * 127.5) for v in q[:3])
            continue
        big = int(np.abs(q).argmax())
        q = q if q[big] > 0 else -q
        word = big
        for k in range(4):
            if k != big:
                word = word << 10 | (512 if q[k] < 0 else 0) | min(511, round(abs(q[k]) * math.sqrt(2) * 511))
        turns += struct.pack("<I", word)
    signs = np.array(UPSIDE_DOWN_SH[:rest])[:, None]
    bands = bytes(min(255, max(0, round(v * 128 + 128))) for v in (t.sh[:, 1:] * signs).ravel())
    kinds = [k for k in (places, alphas, colours, scales, turns, bands) if k]
    degree = math.isqrt(rest + 1) - 1
    head = struct.pack("<4sIIBBBB", b"NGSP", version, count, degree, bits, flags, 0 if version < 4 else len(kinds))
    if version < 4:
        return gzip.compress(head + b"".join(kinds), mtime=0)
    streams = [zstandard.compress(k) for k in kinds]
    table = b"".join(struct.pack("<QQ", len(s), len(k)) for s, k in zip(streams, kinds, strict=True))
    return head + struct.pack("<I12x", 32) + table + b"".join(streams)


def webp(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "WEBP", lossless=True, exact=True, quality=20, method=0)
    return out.getvalue()


def sog(t: Truth, sets: int = 100) -> dict[str, bytes]:
    """A folder of files by name. Each splat has one of the ``sets`` of harmonics, that of its number modulo them."""
    count, rest = len(t.xyz), t.sh.shape[1] - 1
    side = math.ceil(math.sqrt(count))

    def picture(rows: list[list[int]]) -> bytes:
        pixels = np.zeros((side * side, 4), np.uint8)
        pixels[:count] = rows
        return webp(pixels.reshape(side, side, 4))

    def book(values: np.ndarray) -> tuple[list[float], Callable[[float], int]]:
        codes = np.linspace(values.min(), values.max(), 256)
        return codes.tolist(), lambda v: int(np.abs(codes - v).argmin())

    folded = np.sign(t.xyz) * np.log(np.abs(t.xyz) + 1)
    low, high = folded.min(0), folded.max(0)
    words = [[round(65535 * float(v)) for v in row] for row in (folded - low) / (high - low)]
    quats = []
    for q in t.turns:
        big = int(np.abs(q).argmax())
        q = q if q[big] > 0 else -q
        quats.append([*(round((v * math.sqrt(2) + 1) / 2 * 255) for k, v in enumerate(q) if k != big), 252 + big])
    (s_codes, s_code), (c_codes, c_code) = book(t.scales), book(t.sh[:, 0])
    meta = {
        "version": 2, "count": count,
        "means": {"mins": low.tolist(), "maxs": high.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": s_codes, "files": ["scales.webp"]}, "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": c_codes, "files": ["sh0.webp"]},
    }  # fmt: skip
    files = {
        "means_l.webp": picture([[*(v & 255 for v in w), 255] for w in words]),
        "means_u.webp": picture([[*(v >> 8 for v in w), 255] for w in words]),
        "quats.webp": picture(quats),
        "scales.webp": picture([[*map(s_code, row), 255] for row in t.scales]),
        "sh0.webp": picture([[*map(c_code, t.sh[i, 0]), alpha(t, i)] for i in range(count)]),
    }
    if rest:
        codes, code = book(t.sh[:sets, 1:])
        table = np.zeros((-(-sets // 64), 64, rest, 3))
        for i in range(sets):
            table[i // 64, i % 64] = [[code(v) for v in row] for row in t.sh[i, 1:]]
        files["shN_centroids.webp"] = webp(table.reshape(len(table), 64 * rest, 3))
        files["shN_labels.webp"] = picture([[i % sets & 255, i % sets >> 8, 0, 255] for i in range(count)])
        meta["shN"] = {
            "count": sets, "bands": math.isqrt(rest + 1) - 1, "codebook": codes,
            "files": ["shN_centroids.webp", "shN_labels.webp"],
        }  # fmt: skip
    return {"meta.json": json.dumps(meta).encode(), **files}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()
