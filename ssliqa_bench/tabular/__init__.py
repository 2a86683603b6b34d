"""Tables that people have: delimited text, workbooks, JSON and Parquet, read strictly, cell by cell, and written."""

from ssliqa_bench.tabular.reader import read_names, read_rows
from ssliqa_bench.tabular.rows import Rows, finite_number

__all__ = ["Rows", "finite_number", "read_names", "read_rows"]
