"""What the load tests say while they run, on stderr."""

import sys
import time

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """Write one line with the minutes and seconds since the beginning."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGUN), 60)
    print(f"{minutes:2d}:{seconds:02d}  {text}", file=sys.stderr, flush=True)
