"""What the hand does in a viewport: moving the camera, picking, selecting, measuring, clipping, editing."""
