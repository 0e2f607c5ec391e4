"""Adversarial models: a generator learns from a discriminator that learns from it."""
