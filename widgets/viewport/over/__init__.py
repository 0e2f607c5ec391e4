"""What lies over and beside the picture of a viewport: tools, outline, view cube, colour bar, camera path."""
