"""Drawing with OpenGL 3.3: buffers and programs, one file per kind of thing, the frame round them. Imports OpenGL, so
that the canvas imports this folder only when it paints for the first time. Knows no mouse and no Qt widget."""
