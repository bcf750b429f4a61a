"""The verifier of bundles: one file that imports nothing of ours, copied into every bundle as it is."""
