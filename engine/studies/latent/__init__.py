"""Models that explain images by a code: autoencoders, plain and variational."""
