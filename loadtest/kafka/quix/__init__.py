"""The gate's job on Quix Streams, in good faith. `job` runs in an environment of its own."""
