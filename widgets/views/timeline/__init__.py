"""Moments of a timeline: frames, film strip, transport, readings."""
