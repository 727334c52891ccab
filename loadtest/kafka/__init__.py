"""Load tests on a real broker: saturation, peers, latency, recovery, and where the time goes.

`python -m loadtest.kafka` measures and writes JSON lines; `python -m loadtest.kafka.page` makes
`docs/performance.md` of them. Generator, gate and reader are processes of their own; the gate is
the command `gate run`. What was not audited, or did not count up, is not reported.
"""
