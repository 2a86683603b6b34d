"""How good predictions are: correlations, the mapping before PLCC and RMSE, intervals, the table of metrics."""

# Part of every record. Raise it when a change here alters a stored number; records of another version are
# evaluated again from their stored predictions. It is defined here so that reading it imports nothing heavy.
EVALUATION_VERSION = 2
