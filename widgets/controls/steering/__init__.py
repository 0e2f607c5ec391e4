"""Controls that steer a generator."""
