"""Controls that pick an item, a class or a file."""
