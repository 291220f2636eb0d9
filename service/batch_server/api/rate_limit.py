"""Rate limits. Pure: the time is an argument."""

from typing import Final

_FORGET_ABOVE: Final = 1024
_ROUNDING: Final = 1e-9


class RateLimit:
    """Allows each owner so many requests per second, and bursts of one second's worth.

    Args:
        per_second: Requests per second; ``None`` allows any number.
    """

    def __init__(self, per_second: float | None) -> None:
        self._spacing = 1.0 / per_second if per_second else 0.0
        self._next: dict[str, float] = {}

    def excess(self, owner: str, now: float) -> float | None:
        """Count a request, if it is allowed.

        Args:
            owner: Whose key sent it.
            now: Seconds of a monotonic clock.

        Returns:
            ``None`` if it is allowed, otherwise the seconds until it would be.
        """
        if not self._spacing:
            return None
        due = max(self._next.get(owner, 0.0), now)
        early = due - now - (1.0 - self._spacing)
        if early > _ROUNDING:
            return early
        self._next[owner] = due + self._spacing
        if len(self._next) > _FORGET_ABOVE:
            self._next = {who: when for who, when in self._next.items() if when > now}
        return None
