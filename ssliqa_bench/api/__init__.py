"""The package in Python, in a script as in a notebook; its names are those of `ssliqa_bench` itself."""
