"""Splats in OpenGL: numbers per splat into textures, a triangle each, a layer of their own."""
