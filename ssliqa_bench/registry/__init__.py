"""Names, what stands behind them, and suites of runs. Never imports torch, timm or pyiqa."""
