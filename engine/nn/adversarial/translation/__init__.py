"""Pictures into pictures: the networks of image translation, and the probes that look at them."""
