"""`python -m ssliqa_bench` is the command `ssliqa-bench`."""

from ssliqa_bench.cli.app import entry_point

if __name__ == "__main__":
    entry_point()
