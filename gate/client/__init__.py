"""The producer's and the executor's side; begins with `submit`. May touch core and ports."""
