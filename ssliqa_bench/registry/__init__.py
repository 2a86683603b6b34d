"""Names, what they refer to, and suites of runs. Never imports torch, timm or pyiqa."""
