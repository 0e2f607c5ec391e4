"""A game of two networks in the plane: players, rewards, looking ahead, divergences on a grid. Knows no study."""
