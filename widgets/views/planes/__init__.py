"""What lies in a plane: fields, points, arrows, trails."""
