"""What is wrong with files of splats is told in a line that says what."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import pytest

from engine.formats.scene import SceneFileError, read_all
from tests.engine.formats import splat_files as files
from tests.engine.formats.splat_files import Truth, truth


def wrong_spz(t: Truth) -> dict[str, bytes]:
    plain, four = gzip.decompress(files.spz(t, 3)), files.spz(t, 4)

    def packed(at: int, kind: str, value: int) -> bytes:
        data = bytearray(plain)
        struct.pack_into(kind, data, at, value)
        return gzip.compress(bytes(data))

    def loose(at: int, kind: str, value: int) -> bytes:
        data = bytearray(four)
        struct.pack_into(kind, data, at, value)
        return bytes(data)

    return {
        "version 9": packed(4, "<I", 9),
        "says that it has 4,000,000,000 splats": packed(8, "<I", 4_000_000_000),
        "says that it has 5,000 splats": packed(8, "<I", 5_000),
        "degree 7": packed(12, "B", 7),
        "extensions": packed(14, "B", 2),
        "does not begin with NGSP": packed(0, "<I", 0),
        "40 bits behind the point": packed(13, "B", 40),
        "bytes of places for 9": loose(8, "<I", 9),
        "its table of 200 streams": loose(15, "B", 200),
        "cannot be there": loose(16, "<I", 10**9),
        "bytes of places": loose(32, "<Q", 2**60),
        "has 1,152,921,504,606,846,976 bytes": loose(40, "<Q", 2**60),
        "its stream of places is damaged|ends after": four[:112] + bytes(30) + four[142:],
        "its gzip stream is damaged": files.spz(t, 3)[:40] + bytes(40) + files.spz(t, 3)[80:],
        "is no SPZ file": b"something else entirely, which is longer than a header",
        "of their": gzip.compress(plain[:-50]),
    }


def test_spz_complaints(tmp_path: Path) -> None:
    for expected, data in wrong_spz(truth(60, 0)).items():
        (tmp_path / "a.spz").write_bytes(data)
        with pytest.raises(SceneFileError, match=expected) as told:
            read_all(tmp_path / "a.spz")
        assert str(told.value).startswith("a.spz: ")


def test_ply_and_splat_complaints(tmp_path: Path) -> None:
    t = truth(300, 1)
    good, packed = files.inria(t), files.compressed(t)
    wrong = {
        "a.ply": {
            "8 properties f_rest_": files.inria(t, names=[n for n in files.properties(1) if n != "f_rest_8"]),
            "vertices, more than|vertex, of which": good.replace(b"vertex 300", b"vertex 900"),
            "1 chunks for 300 splats": packed.replace(b"chunk 2", b"chunk 1"),
            "harmonics for 299": packed.replace(b"sh 300", b"sh 299"),
            "in ascii": packed.replace(b"binary_little_endian", b"ascii") + b" 0" * 9_000,
            "holds no splat": files.inria(truth(0, 0)),
        },
        "a.splat": {"5 bytes are left over": files.splat(t)[:-27]},
    }
    for name, cases in wrong.items():
        for expected, data in cases.items():
            (tmp_path / name).write_bytes(data)
            with pytest.raises(SceneFileError, match=expected):
                read_all(tmp_path / name)


def test_sog_complaints(tmp_path: Path) -> None:
    t = truth(200, 1)
    parts = files.sog(t)

    def told(expected: str, **changed: object) -> None:
        meta = json.loads(parts["meta.json"])
        for key, value in changed.items():
            part, _, field = key.partition("__")
            if field:
                meta[part][field] = value
            else:
                meta[part] = value
        (tmp_path / "a.sog").write_bytes(files.zipped({**parts, "meta.json": json.dumps(meta).encode()}))
        with pytest.raises(SceneFileError, match=expected):
            read_all(tmp_path / "a.sog")

    told("version 3", version=3)
    told("splats, of which", count=10**9)
    told("for 5,000", count=5_000)
    told("has -3 splats|-3", count=-3)
    told("no codebook of scales", scales__codebook=[])
    told("not 256 numbers", scales__codebook=[1.0])
    told("not 3 numbers", means__mins=[0, 0, float("nan")])
    told("has no '../../etc/passwd' in it", quats__files=["../../etc/passwd"])
    told("names set 99 of harmonics", shN__count=70)
    told("degree 9", shN__bands=9)
    told("cannot be read", quats__files=["meta.json"])
    told("they are two", means__files=["means_l.webp"])
    (tmp_path / "meta.json").write_bytes(parts["meta.json"])
    with pytest.raises(SceneFileError, match="not beside it"):
        read_all(tmp_path / "meta.json")
    (tmp_path / "meta.json").write_text('{"name": "something else"}')
    with pytest.raises(SceneFileError, match="is no SOG file"):
        read_all(tmp_path / "meta.json")
