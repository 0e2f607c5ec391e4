"""The editor of a shape that is built as a tree."""
