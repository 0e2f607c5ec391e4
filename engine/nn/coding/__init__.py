"""Encoders, decoders and what is asked of models that have both."""
