"""What all wire models share: open enumerations, and newer fields that pass through unharmed."""

import functools
import types
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

import msgspec

__all__ = ["ConfigModel", "OpenEnum"]

_SECRET_FIELDS = frozenset({"auth_headers"})


class OpenEnum(StrEnum):
    """A string enumeration that takes values it doesn't know, so that a newer service breaks nothing.

    An unknown value becomes a member of its own: it equals, prints and encodes as the string itself.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member


class ConfigModel(msgspec.Struct, kw_only=True):
    """A part of a job's config.

    Fields that this library doesn't know, and values that don't fit a known field's type, are kept in
    `extra_fields` when a config is read, and written out again untouched. None means: not given.

    Attributes:
        extra_fields: Fields to send beside the typed ones, by their names on the wire.
    """

    extra_fields: dict[str, Any] = {}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a config as it stands on the wire.

        Args:
            data: The decoded JSON object.

        Raises:
            ValueError: A required field is missing or of the wrong type.
        """
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        fields = _fields(cls)
        for wire_name, value in data.items():
            field = fields.get(wire_name)
            fits, read = _read(field.type, value) if field else (False, None)
            if field and fits:
                known[field.name] = read
            else:
                extra[wire_name] = value
        for field in fields.values():
            if field.required and field.name not in known:
                raise ValueError(f"{cls.__name__} needs a valid {field.wire_name!r}.")
        # A defaulted field that the data left out must stay left out.
        known.update(
            {f.name: None for f in fields.values() if not f.required and f.name not in known and f.has_default}
        )
        return cls(**known, extra_fields=extra)

    def to_dict(self) -> dict[str, Any]:
        """The config as it stands on the wire, without the fields that aren't set."""
        out: dict[str, Any] = {}
        for field in _fields(type(self)).values():
            value = getattr(self, field.name)
            if value is not None:
                out[field.wire_name] = _plain(value)
        for name, value in self.extra_fields.items():
            out.setdefault(name, value)
        return out

    def __repr__(self) -> str:
        """Show the fields that are set; headers that carry credentials are masked."""
        shown = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is None or (name == "extra_fields" and not value):
                continue
            shown.append(f"{name}={'***' if name in _SECRET_FIELDS else repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


class _Field(msgspec.Struct, frozen=True):
    name: str
    wire_name: str
    type: Any
    required: bool
    has_default: bool


@functools.cache
def _fields(model: type[ConfigModel]) -> dict[str, _Field]:
    hints = get_type_hints(model)
    out = {}
    for info in msgspec.structs.fields(model):
        if info.name != "extra_fields":
            out[info.encode_name] = _Field(
                info.name, info.encode_name, hints[info.name], info.required, info.default is not None
            )
    return out


def _read(annotation: Any, value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - any JSON value, any annotation
    """Whether the value fits the annotation without loss, and what it reads as."""
    model, is_list = _model_in(annotation)
    try:
        if model is None:
            read = msgspec.convert(value, annotation)
            return value is not None and read == value, read
        if is_list and isinstance(value, list):
            return all(isinstance(item, dict) for item in value), [model.from_dict(item) for item in value]
        if not is_list and isinstance(value, dict):
            return True, model.from_dict(value)
    except (ValueError, AttributeError):
        pass
    return False, None


@functools.cache
def _model_in(annotation: Any) -> tuple[type[ConfigModel] | None, bool]:  # noqa: ANN401 - any annotation
    """The config model that an annotation holds, and whether in a list."""
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        return annotation, False
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        found = [_model_in(arg) for arg in get_args(annotation)]
        return next((each for each in found if each[0]), (None, False))
    if origin is list:
        return _model_in(get_args(annotation)[0])[0], True
    return None, False


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, ConfigModel):
        return value.to_dict()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
