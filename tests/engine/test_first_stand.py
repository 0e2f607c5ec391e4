"""Where pictures of a capture are taken from before anybody has chosen: at the first photograph that was held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.nn.looking.probes import CAMERA, CROP
from engine.params import BadValue
from engine.probes import Camera, Number, camera_of
from engine.scene import Field
from engine.session import Session
from engine.studies.radiance.nerf import NeRF

CPU = torch.device("cpu")


def test_no_camera_is_a_value_only_where_the_study_knows_a_place() -> None:
    assert CAMERA.initial({}) == CAMERA.check("camera", "", {}) == CAMERA.parse("camera", " ", {}) == ""
    with pytest.raises(BadValue, match="camera: '' is not eye/target/up/fov"):
        Camera().check("camera", "", {})
    assert CAMERA.of_data
    assert CROP.of_data
    assert not Number(1, 0, 2).of_data


def test_the_first_picture_stands_where_the_first_held_out_photograph_was_taken(small_life: Any) -> None:
    session = Session.build("nerf", NeRF, dict(NeRF.tiny), 1, CPU, small_life, "still_life")
    made = session.study
    assert isinstance(made, NeRF)
    photo = made.source.photos["held_out"][0]
    *_, scene = (part for part in made.view("", "RGB", 24, 1, False, True, "", False) if not isinstance(part, float))
    field = scene.things[0]
    assert isinstance(field, Field)
    eye, target, up, fov = camera_of(field.camera)
    np.testing.assert_allclose(eye, photo.view.centre, atol=1e-4)
    ahead = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    np.testing.assert_allclose(ahead, -photo.view.pose[:3, 2], atol=1e-4)
    np.testing.assert_allclose(up, photo.view.pose[:3, 1], atol=1e-4)
    assert np.tan(np.radians(fov) / 2) == pytest.approx(photo.view.camera.height / 2 / photo.view.camera.fy, rel=1e-4)
    assert scene.caption.startswith(f"{photo.view.name}: PSNR")
    assert len(field.truth) == 18  # the whole picture is 24 x 18 pixels: without a size of the window too
    elsewhere = "3,0,1/0,0,0/0,0,1/40"
    assert made.stand(elsewhere) == elsewhere
