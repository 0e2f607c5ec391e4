"""Which study opens for files that are dropped where none takes them."""

from __future__ import annotations

from pathlib import Path

from app.files import holds_splats, study_for


def test_files_that_can_only_be_splats_open_the_study_of_splats() -> None:
    assert study_for(["/a/b.spz", "/a/C.SPLAT"]) == "splat_scene"
    assert study_for(["room.compressed.ply"]) == "splat_scene"
    assert study_for(["room.ply"]) == "scene_files"  # whether it has splats, only its head tells
    assert study_for(["a.spz", "b.glb"]) == "scene_files"
    assert study_for([]) == "scene_files"


def test_the_head_of_a_ply_tells_whether_it_holds_splats(tmp_path: Path) -> None:
    start = b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\n"
    heads = {
        "inria": b"property float f_dc_0\nend_header\n",
        "packed": b"property uint packed_position\nend_header\n",
        "points": b"property uchar red\nend_header\n f_dc_0",  # what follows the head are numbers
    }
    names = {}
    for key, rest in heads.items():
        path = tmp_path / f"{key}.ply"
        path.write_bytes(start + rest)
        names[key] = str(path)
    assert {key: holds_splats(name) for key, name in names.items()} == {"inria": True, "packed": True, "points": False}
    assert not holds_splats(str(tmp_path / "missing.ply"))
    splats = {names["inria"], names["packed"]}
    assert study_for([names["inria"], names["packed"], "a.spz"], splats) == "splat_scene"
    assert study_for(list(names.values()), splats) == "scene_files"
