"""Keys that keep to themselves."""

__all__ = ["Secret"]


class Secret:
    """A token that shows itself only when asked, so that no traceback with locals prints it."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The token."""
        return self._value

    def __repr__(self) -> str:
        """Nothing of it."""
        return "Secret(***)"
