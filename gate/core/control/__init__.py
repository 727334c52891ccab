"""Control: what the input itself has put in force, and how control records change it."""
