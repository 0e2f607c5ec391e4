"""One system of the field per file, in a folder per family. Found by walking; nobody imports a study by name."""
