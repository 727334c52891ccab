"""The command line: one module per command group; starts things, decides nothing."""
