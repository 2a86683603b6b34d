"""How good predictions are: correlations, the mapping before PLCC and RMSE, intervals, the table of metrics."""
