"""The Blind Noisy Student: a full-reference teacher labels pairs of images, a student learns from the distorted image
of each pair alone.

Source: Conde, Burchi, Timofte, "Conformer and Blind Noisy Students for Improved Image Quality Assessment", CVPR
Workshops (NTIRE) 2022. Choices the paper does not specify are in docs/methods/noisy_student.md.
"""
