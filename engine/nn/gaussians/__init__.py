"""What learns as a heap of Gaussians: parameters, where they begin, their growth, and the questions put to them."""
