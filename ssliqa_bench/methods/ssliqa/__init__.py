"""SSLIQA: batch-level consistency of quality distributions."""
