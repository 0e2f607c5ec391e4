"""Scenes from files and to files. Readers are generators of their progress; runs on the engine's thread."""
