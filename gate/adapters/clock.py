"""The system's clock."""

import time


class SystemClock:
    """Implements `gate.ports.Clock`."""

    def now_ms(self) -> int:
        """Follow the port."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Follow the port."""
        return time.monotonic_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        """Follow the port; nothing or less returns at once."""
        if duration_ms > 0:
            time.sleep(duration_ms / 1000)
