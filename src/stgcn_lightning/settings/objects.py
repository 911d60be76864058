"""Objects that a configuration names by `_target_`: trainer, callbacks, loggers."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings.frozen import frozen, thawed
from stgcn_lightning.terminal import shown_value

O = TypeVar("O", bound="Object")  # noqa: E741


@dataclass(frozen=True)
class Object:
    """A class or function and its arguments, made when it is wanted.

    Args:
        options: ``_target_`` and the arguments, plain and read-only.
        key: where the configuration has it.
    """

    options: Mapping[str, Any]
    key: str = ""

    @classmethod
    def read(cls: type[O], key: str, value: Any) -> O:
        """The object that a configuration has at `key`.

        Raises:
            BadInput: it does not say what to make.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("_target_"), str):
            raise BadInput(
                f"{key}={shown_value(value)} does not say what to make: give it a _target_, "
                "module.Class"
            )
        return cls(frozen(value), key)

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or `default` where there is none."""
        return self.options.get(name, default)

    def but(self: O, **options: Any) -> O:
        """The same with other arguments."""
        return type(self)(frozen(dict(self.options) | options), self.key)

    def make(self, **more: Any) -> Any:
        """Make it, with `more` arguments, which go before its own.

        Raises:
            BadInput: there is no such class or function, or it does not take these arguments.
        """
        from hydra.errors import InstantiationException
        from hydra.utils import instantiate

        try:
            # plain lists and dictionaries arrive, not OmegaConf's
            return instantiate({"_convert_": "all"} | thawed(self.options), **more)
        except InstantiationException as error:
            if isinstance(error.__cause__, BadInput):
                raise error.__cause__ from None
            raise BadInput(f"{self.key} cannot be built: {error.__cause__ or error}") from error


def objects(key: str, value: Any) -> Mapping[str, Object]:
    """The objects of a group by their names, without those that are null.

    Raises:
        BadInput: it is no group, or one of them does not say what to make.
    """
    if not isinstance(value, Mapping):
        raise BadInput(f"{key}={shown_value(value)} is no group of objects: {key}=[] for none")
    named = {k: Object.read(f"{key}.{k}", one) for k, one in value.items() if one is not None}
    return MappingProxyType(named)


def imported(key: str, target: str) -> Any:
    """The class or function that a configuration names at `key`.

    Raises:
        BadInput: there is none of that name.
    """
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module raises
        cause = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(
            f"{key}={target} cannot be imported: {cause}; name a module that Python finds, "
            "MODULE.NAME"
        ) from error
