"""Splats as ``.spz`` (nianticlabs/spz), versions 1 to 4: every number in 8 to 24 bits, kind by kind, packed.

Versions 1 to 3 are one gzip stream of a header and the kinds one after the other; 4 has a plain header, a table and a
Zstandard stream for each kind. Its axes are x right, y up, z back: those of the other files turned by 180 degrees about
x, which changes the sign of y and z, of two of a quaternion's numbers and of half of the harmonics. Knows no other
format.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.formats.scene.common import Reading, need, refuse
from engine.formats.splats.common import COEFFICIENTS, SLICE, logit, sigmoid, splats_of, unit_turns
from engine.scene import Splats, Thing

MAGIC = 0x5053474E
HEAD = struct.Struct("<IIIBBBB")
HEAD_4 = struct.Struct("<IIIBBBBI12x")
ENTRY = struct.Struct("<QQ")
VERSIONS = (1, 2, 3, 4)
LATEST_COMMON = 3
"""The latest version that most programs read."""
ANTIALIASED, EXTENDED = 1, 2
REST = (0, 3, 8, 15, 24)
"""Coefficients of each colour above degree 0, by the degree."""
RATIO, ROOM = 200, 1 << 20
"""A file says that it unpacks to so many times itself and so many bytes at most; real ones have 1 to 3 times."""
STEP = 1 << 20
BITS = 12
"""Behind the point of a coordinate, unless the splats reach too far."""
REACH = (1 << 23) - 1
COLOUR = 0.15
KINDS = ("places", "alphas", "colours", "scales", "turns", "rest")
UPSIDE = np.array([1, -1, -1], np.float32)
"""Takes places from this format's axes to those of the other files, and back."""
UPSIDE_TURN = np.array([1, 1, -1, -1], np.float32)
UPSIDE_SH = np.array([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
"""The parity of each harmonic when y and z change their signs."""


@dataclass
class _Head:
    version: int
    count: int
    degree: int
    bits: int
    flags: int

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each kind, of one splat."""
        places, turns = (6 if self.version == 1 else 9), (4 if self.version >= 3 else 3)
        return dict(zip(KINDS, (places, 1, 3, 3, turns, 3 * REST[self.degree]), strict=True))


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """The splats of a file."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    head, kinds = yield from (_unzipped if zipped else _streams)(path)
    count, used = head.count, min(REST[head.degree], COEFFICIENTS[-1] - 1)
    xyz, scales = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    turns, opacity = np.empty((count, 4), np.float32), np.empty(count, np.float32)
    sh = np.empty((count, 1 + used, 3), np.float32)
    for start in range(0, count, SLICE):
        part = slice(start, min(count, start + SLICE))
        xyz[part] = _places(head, kinds["places"][part]) * UPSIDE
        scales[part] = kinds["scales"][part] / np.float32(16) - 10
        turns[part] = (_turns if head.version >= 3 else _old_turns)(kinds["turns"][part]) * UPSIDE_TURN
        opacity[part] = logit(kinds["alphas"][part, 0] / 255)
        sh[part, 0] = (kinds["colours"][part] / 255 - 0.5) / COLOUR
        rest = kinds["rest"][part].reshape(part.stop - start, -1, 3)[:, :used]
        sh[part, 1:] = (rest - np.float32(128)) / 128 * UPSIDE_SH[1 : used + 1, None]
        yield 0.5 + 0.5 * part.stop / count
    return (splats_of(path, xyz, scales, turns, opacity, sh, bool(head.flags & ANTIALIASED)),)


def _checked(path: Path, head: _Head) -> _Head:
    if head.version not in VERSIONS:
        refuse(path, f"is of version {head.version} of SPZ", "save it as version 2, 3 or 4")
    if head.degree >= len(REST):
        refuse(path, f"has harmonics of degree {head.degree}, and there are 0 to {len(REST) - 1}")
    if head.bits > 30:
        refuse(path, f"has coordinates with {head.bits} bits behind the point, of 24")
    size = path.stat().st_size
    if head.count * sum(head.sizes.values()) > RATIO * size + ROOM:
        refuse(path, f"says that it has {head.count:,} splats, more than its {size:,} bytes can hold")
    return head


def _cut(head: _Head, parts: dict[str, bytes | memoryview]) -> dict[str, np.ndarray]:
    """The kinds as uint8 (N, bytes of one)."""
    return {
        name: np.frombuffer(parts[name], np.uint8, head.count * size).reshape(head.count, size)
        for name, size in head.sizes.items()
    }


def _unzipped(path: Path) -> Reading[tuple[_Head, dict[str, np.ndarray]]]:
    """Versions 1 to 3."""
    plain = bytearray()
    try:
        with gzip.open(path) as file:
            begin = file.read(HEAD.size)
            if len(begin) < HEAD.size or HEAD.unpack(begin)[0] != MAGIC:
                refuse(
                    path, "is no SPZ file: what is packed in it does not begin with NGSP", "open it by its true ending"
                )
            _, version, count, degree, bits, flags, _ = HEAD.unpack(begin)
            head = _checked(path, _Head(version, count, degree, bits, flags))
            if flags & EXTENDED:
                refuse(path, "has extensions that are not known here", "save it as version 4 or as PLY")
            wanted = sum(head.sizes.values()) * count
            while len(plain) < wanted and (got := file.read(min(STEP, wanted - len(plain)))):
                plain += got
                yield 0.05 + 0.45 * len(plain) / wanted
    except (gzip.BadGzipFile, zlib.error, EOFError) as e:
        refuse(path, f"its gzip stream is damaged ({e})")
    if len(plain) < wanted:
        refuse(path, f"says that it has {count:,} splats, and holds {len(plain):,} of their {wanted:,} bytes")
    parts: dict[str, bytes | memoryview] = {}
    at, whole = 0, memoryview(plain)
    for name, size in head.sizes.items():
        parts[name] = whole[at : at + size * count]
        at += size * count
    return head, _cut(head, parts)


def _streams(path: Path) -> Reading[tuple[_Head, dict[str, np.ndarray]]]:
    """Version 4."""
    import zstandard

    data = path.read_bytes()
    yield 0.05
    if len(data) < HEAD_4.size or struct.unpack_from("<I", data)[0] != MAGIC:
        refuse(path, "is no SPZ file: it is neither packed by gzip nor begins with NGSP", "open it by its true ending")
    _, version, count, degree, bits, flags, streams, table = HEAD_4.unpack_from(data)
    if version < VERSIONS[-1]:
        refuse(path, f"is of version {version} of SPZ and not packed by gzip")
    head = _checked(path, _Head(version, count, degree, bits, flags))
    names = [name for name, size in head.sizes.items() if size]
    if streams < len(names) or not HEAD_4.size <= table <= len(data) - streams * ENTRY.size:
        refuse(path, f"its table of {streams} streams at byte {table:,} cannot be there")
    parts: dict[str, bytes | memoryview] = dict.fromkeys(KINDS, b"")
    at = table + streams * ENTRY.size
    for n, name in enumerate(names):
        packed, plain = ENTRY.unpack_from(data, table + n * ENTRY.size)
        wanted = head.sizes[name] * count
        need(path, packed, 1, len(data) - at, f"bytes of {name}")
        if plain != wanted:
            refuse(path, f"has {plain:,} bytes of {name} for {count:,} splats, which have {wanted:,}")
        found = bytearray()
        try:
            unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
            with unpacker.stream_reader(data[at : at + packed]) as stream:
                while len(found) < wanted and (got := stream.read(min(STEP, wanted - len(found)))):
                    found += got
                    yield 0.05 + 0.45 * (n + len(found) / wanted) / len(names)
        except zstandard.ZstdError as e:
            refuse(path, f"its stream of {name} is damaged ({str(e)[:60]})")
        if len(found) < wanted:
            refuse(path, f"ends after {len(found):,} of the {wanted:,} bytes of its {name}")
        parts[name] = memoryview(found)
        at += packed
    return head, _cut(head, parts)


def _places(head: _Head, raw: np.ndarray) -> np.ndarray:
    """Coordinates float32 (N, 3), in this format's axes."""
    if head.version == 1:
        return np.ascontiguousarray(raw).view("<f2").astype(np.float32)
    wide = np.zeros((len(raw), 3, 4), np.uint8)
    wide[:, :, 1:] = raw.reshape(-1, 3, 3)
    # The three bytes stand in the upper ones of four, so that the sign is in its place; then they go down again.
    return (wide.view("<i4")[..., 0] >> 8).astype(np.float32) / np.float32(1 << head.bits)


def _old_turns(raw: np.ndarray) -> np.ndarray:
    """Quaternions w x y z of three bytes each, w not below 0."""
    xyz = raw / np.float32(127.5) - 1
    w = np.sqrt(np.maximum(0, 1 - np.square(xyz).sum(1)))
    return np.column_stack([w, xyz])


def _turns(raw: np.ndarray) -> np.ndarray:
    """Quaternions w x y z of one word each: which of x y z w is the largest in the two highest bits, below them a
    sign and nine bits of each other."""
    words = np.ascontiguousarray(raw).view("<u4")[:, 0]
    which = (words >> 30).astype(np.int64)
    at = np.arange(len(words))
    four = np.zeros((len(words), 4), np.float32)
    for k in range(3):
        ten = words >> np.uint32((20, 10, 0)[k])
        size = (ten & 511) * np.float32(0.5**0.5 / 511)
        four[at, k + (k >= which)] = np.where(ten & 512, -size, size)
    four[at, which] = np.sqrt(np.maximum(0, 1 - np.square(four).sum(1)))
    return four[:, [3, 0, 1, 2]]


# ---- writing --------------------------------------------------------------------------------------------------------


def bits_for(splats: Splats) -> int:
    """Bits behind the point with which all places can be written, 12 at most."""
    reach = float(np.abs(splats.xyz + np.asarray(splats.origin)).max(initial=0.0))
    return next((b for b in range(BITS, 0, -1) if reach * (1 << b) <= REACH), 0)


def encode(splats: Splats, version: int = LATEST_COMMON) -> Iterator[bytes]:
    """A file of splats in the order in which they come, of version 2, 3 or 4."""
    count, coefficients = splats.sh.shape[:2]
    degree, bits = COEFFICIENTS.index(coefficients), bits_for(splats)
    flags = ANTIALIASED if splats.antialiased else 0
    kinds = {name: values for name, values in _packed(splats, bits, version).items() if values.size}
    if version < 4:
        plain = HEAD.pack(MAGIC, version, count, degree, bits, flags, 0)
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        yield packer.compress(plain)
        for values in kinds.values():
            for start in range(0, values.size, STEP):
                yield packer.compress(values.reshape(-1)[start : start + STEP].tobytes())
        yield packer.flush()
        return
    import zstandard

    streams = []
    for values in kinds.values():
        streams.append(zstandard.ZstdCompressor(level=6).compress(values.tobytes()))
        yield b""
    yield HEAD_4.pack(MAGIC, version, count, degree, bits, flags, len(kinds), HEAD_4.size)
    yield b"".join(ENTRY.pack(len(s), v.size) for s, v in zip(streams, kinds.values(), strict=True))
    yield from streams


def _packed(splats: Splats, bits: int, version: int) -> dict[str, np.ndarray]:
    """The kinds as bytes, (N, bytes of one) each."""
    places = (splats.xyz + np.asarray(splats.origin)) * UPSIDE
    fixed = np.clip(np.round(places * float(1 << bits)), -REACH - 1, REACH).astype("<i4")
    rest = splats.sh[:, 1:] * UPSIDE_SH[1 : splats.sh.shape[1], None]
    turns = unit_turns(splats.turns) * UPSIDE_TURN
    return {
        "places": np.ascontiguousarray(fixed).view(np.uint8).reshape(-1, 3, 4)[:, :, :3].reshape(-1, 9),
        "alphas": _byte(sigmoid(splats.opacity) * 255)[:, None],
        "colours": _byte((splats.sh[:, 0] * COLOUR + 0.5) * 255),
        "scales": _byte((splats.scales + 10) * 16),
        "turns": _turn_words(turns) if version >= 3 else _old_turn_bytes(turns),
        "rest": _byte(rest * 128 + 128).reshape(len(rest), -1),
    }


def _old_turn_bytes(turns: np.ndarray) -> np.ndarray:
    return _byte((turns[:, 1:] * np.where(turns[:, :1] < 0, -1, 1) + 1) * 127.5)


def _turn_words(turns: np.ndarray) -> np.ndarray:
    four = turns[:, [1, 2, 3, 0]]
    at = np.arange(len(four))
    which = np.abs(four).argmax(1)
    four *= np.where(four[at, which] < 0, -1, 1)[:, None]
    words = which.astype("<u4") << np.uint32(30)
    for k in range(3):
        value = four[at, k + (k >= which)]
        ten = np.minimum(511, np.round(np.abs(value) * 2**0.5 * 511)).astype("<u4") | np.where(value < 0, 512, 0)
        words |= ten.astype("<u4") << np.uint32((20, 10, 0)[k])
    return words.view(np.uint8).reshape(-1, 4)


def _byte(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
