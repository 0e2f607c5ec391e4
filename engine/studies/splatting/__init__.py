"""Scenes and pictures made of Gaussians. One file per study."""
