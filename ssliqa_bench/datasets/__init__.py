"""Datasets: reading tables of scores, decoding and caching images, splits, distortions, the generated demo sets."""
