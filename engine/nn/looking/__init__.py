"""What is asked of fields that are seen by rays: pictures, samples along a ray, cameras, surfaces."""
