"""Pictures of scenes made by the processor alone, without OpenGL. Knows no study and no window."""
