"""Everything that computes. Never imports Qt or OpenGL; nothing here knows that a window exists."""
