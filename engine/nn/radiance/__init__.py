"""What every radiance field shares: samples along rays, compositing, empty space, the hash grid. Knows no network."""
