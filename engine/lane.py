"""The view lane: a second thread that works for views only. Filled in by its owner."""
