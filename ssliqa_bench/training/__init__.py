"""The training loop, views, networks and losses that learners share. Knows no dataset, registry or store."""
