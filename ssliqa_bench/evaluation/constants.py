"""The constants behind every judgement on results: one table for evaluation, boards and command line.

Numbers of an algorithm (tolerances, grids) stay beside the algorithm. Those here decide what is printed.
"""

from __future__ import annotations

# Share of samples in which an interval should hold the true value.
CONFIDENCE = 0.95
# Draws of groups behind an interval; the standard error of an interval's width is then about 2 %.
RESAMPLES = 1000
# The most draws that anyone may ask for.
MOST_RESAMPLES = 100_000
# With fewer groups no interval is given: below, coverage leaves 92 to 98 % (docs/uncertainty.md).
MINIMUM_GROUPS = 30
# Share of the draws in which a value must be defined for an interval to be given.
DEFINED_SHARE = 0.95
# With more groups, standard errors come from influence values in place of draws: both agree there, and draws take long.
ANALYTIC_ABOVE = 5000
# The most images of all draws together: of more images there are fewer draws, but no fewer than so many.
DRAWN_IMAGES = 5_000_000
FEWEST_RESAMPLES = 200
# With fewer images no mapping is fitted.
MINIMUM_MAPPING = 5
# With fewer images a part of a data set (a distortion, a level) has no SRCC of its own.
MINIMUM_PART = 10
# Two methods are equivalent where their difference of SRCC lies within this margin on either side.
EQUIVALENCE_MARGIN = 0.01
# With fewer splits two methods are not compared.
MINIMUM_SPLITS = 3
# On fewer independent data sets methods get no ranks with a critical difference.
MINIMUM_DATASETS = 6
# With fewer scored photographs no learner is trained on them: a test part of four says nothing.
MINIMUM_LABELS = 20
# The smallest number of labels on the curve of a label budget.
SMALLEST_BUDGET = 10
