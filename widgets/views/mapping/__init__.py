"""The map of a latent space."""
