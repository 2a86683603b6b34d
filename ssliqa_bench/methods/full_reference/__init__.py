"""Full-reference learners: an image is judged by what sets its feature maps apart from those of its reference."""
