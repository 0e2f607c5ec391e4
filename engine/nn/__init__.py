"""Network blocks that every user uses identically."""
