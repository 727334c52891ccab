"""The command line: starts things and shows what came of them; decides nothing.

Data goes to stdout, everything else to stderr; exit codes are those of `exits`. One module a
command group, loaded when one of its commands is called. `design/operations.md` §1.
"""
