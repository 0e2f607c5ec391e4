"""Controls that are drawn on."""
