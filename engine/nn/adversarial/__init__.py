"""What adversarial models share: losses, the watch over their classes, networks, probes."""
