"""Planted bugs: a guard is taken out of the real code, for the time of a test.

The source of a module is changed in one place and compiled; the code of its functions and methods
is exchanged in place, so every importer sees the bug. A guard whose absence no test notices is no
guard.
"""

import importlib
import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager


def _functions(module: types.ModuleType) -> dict[str, types.FunctionType]:
    found = {}
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            found[name] = value
        elif inspect.isclass(value) and value.__module__ == module.__name__:
            for inner, method in vars(value).items():
                raw = method.fget if isinstance(method, property) else method
                if inspect.isfunction(raw):
                    found[f"{name}.{inner}"] = raw
    return found


@contextmanager
def planted(module_name: str, good: str, bad: str) -> Iterator[None]:
    """Replace `good`, which must stand exactly once in the module's source, by `bad`."""
    module = importlib.import_module(module_name)
    source = inspect.getsource(module)
    assert source.count(good) == 1, f"expected the guard once in {module_name}: {good!r}"
    copy = types.ModuleType(module_name)
    copy.__dict__.update({k: v for k, v in vars(module).items() if k.startswith("__")})
    exec(compile(source.replace(good, bad), module.__file__ or "", "exec"), copy.__dict__)
    changed = _functions(copy)
    kept = {}
    for name, function in _functions(module).items():
        kept[name] = function.__code__
        if not function.__code__.co_freevars:
            function.__code__ = changed[name].__code__
    try:
        yield
    finally:
        for name, function in _functions(module).items():
            function.__code__ = kept[name]
