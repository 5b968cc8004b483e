"""Flags as plain values: what the command line library is made from, and what usual lines are read by without it.

The library takes 50 ms, half of what a reading command may take. So flags are told once, here as values, in the
annotations of a command's function; `program` turns them into those of the library for help, for mistakes and for
whatever is written in a rarer way, and `read` reads the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack, get_args, get_origin, get_type_hints

Body = Callable[..., None]


class Flag(NamedTuple):
    """An option by its `names`, or without any an argument; `told` goes to the library as it is."""

    names: tuple[str, ...]
    told: Mapping[str, Any]


def option(*names: str, **told: Any) -> Flag:
    """Return an option."""
    return Flag(names, told)


def argument(**told: Any) -> Flag:
    """Return an argument."""
    return Flag((), told)


class Commands:
    """The commands of a module by their words; `groups` are those that have commands of their own.

    `alone` is what a group does when none of its commands is named.
    """

    def __init__(self, alone: Body | None = None) -> None:
        self.alone = alone
        self.bodies: dict[str, Body] = {}
        self.groups: dict[str, Commands] = {}

    def command(self, word: str = "") -> Callable[[Body], Body]:
        """Take a function as the command `word`, or of its own name."""

        def take(body: Body) -> Body:
            self.bodies[word or body.__name__] = body
            return body

        return take

    def usual(self, word: str, words: Sequence[str]) -> tuple[Body | None, Sequence[str]]:
        """Return what `word` and the first of those behind it do, if it is a group, and what is left of them."""
        group = self.groups.get(word)
        if group is None:
            return self.bodies.get(word), words
        if words and words[0] in group.bodies:
            return group.bodies[words[0]], words[1:]
        return group.alone, words


def flags_of(body: Body) -> dict[str, tuple[Any, Flag | None]]:
    """Return the parameters of a command's function: type and flag of each.

    `**name: Unpack[SomeTypedDict]` stands for the flags of that group, which come right behind the arguments.
    """
    hints = get_type_hints(body, include_extras=True)
    hints.pop("return", None)
    found: dict[str, tuple[Any, Flag | None]] = {}
    for name, hint in _with_groups(hints):
        flag = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Flag)), None)
        found[name] = (hint.__origin__ if flag else hint, flag)
    return found


def _with_groups(hints: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    groups = [get_args(hint)[0] for hint in hints.values() if get_origin(hint) is Unpack]
    alone = [(name, hint) for name, hint in hints.items() if get_origin(hint) is not Unpack]
    arguments = 0
    while arguments < len(alone) and any(
        isinstance(each, Flag) and not each.names for each in getattr(alone[arguments][1], "__metadata__", ())
    ):
        arguments += 1
    yield from alone[:arguments]
    for group in groups:
        yield from get_type_hints(group, include_extras=True).items()
    yield from alone[arguments:]


def read(body: Body, words: Iterable[str]) -> dict[str, Any] | None:
    """Return the values that usual words give to a command; None when the library must have a look at them.

    Usual are options by their full names, with `=` or a word behind, and as many arguments as are needed.
    """
    options: dict[str, tuple[str, Any, Flag]] = {}
    arguments: list[tuple[str, Any]] = []
    for name, (kind, flag) in flags_of(body).items():
        if flag is None or "count" in flag.told:
            return None
        if flag.names:
            options |= dict.fromkeys(flag.names, (name, kind, flag))
        else:
            arguments.append((name, kind))
    values: dict[str, Any] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if not word.startswith("-"):
            rest.append(word)
            continue
        head, has_value, text = word.partition("=")
        if head not in options or (has_value and not head.startswith("--")):
            return None
        name, kind, flag = options[head]
        if kind is bool:
            if has_value:
                return None
            values[name] = True
            continue
        value = _value(kind, flag, text if has_value else next(left, None))
        if value is None:
            return None
        values[name] = value
    if not _placed(values, arguments, rest, body):
        return None
    return None if _needed(body) - values.keys() else values


def _needed(body: Body) -> set[str]:
    """Return the names that have no default."""
    names = body.__code__.co_varnames[: body.__code__.co_argcount]
    return set(names[: len(names) - len(body.__defaults__ or ())])


def _value(kind: Any, flag: Flag, text: str | None) -> Any:
    if text is None or kind is str:
        return text
    if kind is int or int in get_args(kind):
        try:
            number = int(text)
        except ValueError:
            return None
        return number if number >= flag.told.get("min", number) else None
    return None


def _placed(
    values: dict[str, Any], arguments: Sequence[tuple[str, Any]], rest: list[str], body: Body
) -> bool:
    """Put what is no option where it belongs; returns whether that is clear."""
    if not arguments:
        return not rest
    [(name, kind), *more] = arguments
    if more:
        return False
    if kind is str:
        if len(rest) == 1:
            values[name] = rest[0]
        return len(rest) == 1 or (not rest and _may_be_called_without(body))
    if kind == list[str] or list[str] in get_args(kind):
        if rest:
            values[name] = rest
        return True
    return False


def _may_be_called_without(body: Body) -> bool:
    """Return whether a command's function needs no argument at all."""
    code = body.__code__
    return len(body.__defaults__ or ()) == code.co_argcount
