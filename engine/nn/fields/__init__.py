"""Networks that are a function of space: encodings of a place, the networks on top, what they are fitted to."""
