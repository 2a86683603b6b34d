"""From image files to pixels: decoding, and the lossless cache of decoded images."""
