"""Which study opens for files that are dropped where none takes them."""

from __future__ import annotations

from app.files import study_for


def test_files_that_can_only_be_splats_open_the_study_of_splats() -> None:
    assert study_for(["/a/b.spz", "/a/C.SPLAT"]) == "splat_scene"
    assert study_for(["room.compressed.ply"]) == "splat_scene"
    assert study_for(["room.ply"]) == "scene_files"  # whether it has splats, only its head tells
    assert study_for(["a.spz", "b.glb"]) == "scene_files"
    assert study_for([]) == "scene_files"
