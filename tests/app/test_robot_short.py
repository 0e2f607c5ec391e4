"""A quarter of a minute of the soak's robot, in the default suite: what breaks at once is seen at once."""

from __future__ import annotations

from tests.soak.test_robot import soak

SECONDS = 12.0


def test_the_window_survives_a_robot_for_a_moment() -> None:
    robot = soak(SECONDS, seed=3, settled=None)
    assert len(robot.done) > 10  # it did many kinds of things, not one over and over
