"""What the guards read: the modules of a source tree, their imports and the names they call."""

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "flowlord"


@dataclass(frozen=True)
class Module:
    """One Python file; `path` is relative to its tree, with slashes."""

    path: str
    file: Path

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.removesuffix(".py").split("/"))

    @property
    def room(self) -> str:
        """The first folder, or the name of a module that lies at the top."""
        return self.parts[0]

    @cached_property
    def text(self) -> str:
        return self.file.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """Everything in the tree; a walk takes longer than what is looked for."""
        return tuple(ast.walk(self.tree))

    def imports(self, package: str = "flowlord") -> Iterator[tuple[int, str]]:
        """Yield (line, dotted name) of everything imported, also inside functions and by importlib with a literal.

        `from a import b` gives `a.b`: whether b is a module or a name in one does not matter to the guards.
        """
        here = (package, *self.parts)
        for node in self.nodes:
            match node:
                case ast.Import(names=names):
                    yield from ((node.lineno, alias.name) for alias in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    base = here[: len(here) - level] if level else ()
                    base = (*base, *(module.split(".") if module else ()))
                    yield from ((node.lineno, ".".join((*base, alias.name))) for alias in names)
                case ast.Call(args=[ast.Constant(value=str(name)), *_]) if called(node) in {
                    "import_module",
                    "__import__",
                }:
                    yield node.lineno, name

    @cached_property
    def bindings(self) -> dict[str, str]:
        """What an imported name stands for: `{"dt": "datetime", "sleep": "time.sleep"}`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        found[alias.asname or alias.name.partition(".")[0]] = (
                            alias.name if alias.asname else alias.name.partition(".")[0]
                        )
                case ast.ImportFrom(module=str(module), names=names, level=0):
                    found |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
        return found

    def uses(self) -> Iterator[tuple[int, str]]:
        """Yield (line, full dotted name) of every use of an imported name and of every call of a builtin."""
        inner = {id(node.value) for node in self.nodes if isinstance(node, ast.Attribute)}
        callees = {id(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        for node in self.nodes:
            if not isinstance(node, ast.Name | ast.Attribute) or id(node) in inner:
                continue
            first, *rest = dotted(node)
            if first in self.bindings:
                yield node.lineno, ".".join((self.bindings[first], *rest))
            elif id(node) in callees and hasattr(builtins, first):
                yield node.lineno, f"builtins.{first}"

    def calls_of_methods(self) -> Iterator[tuple[int, str]]:
        """Yield (line, name) of every call of an attribute, whatever it is called on."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node.lineno, node.func.attr

    def literals(self) -> Iterator[tuple[int, str]]:
        """Yield (line, text) of every string constant that is no docstring; f-strings by their first piece."""
        docs = {
            id(node.body[0].value)
            for node in self.nodes
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield node.lineno, node.value


def called(node: ast.Call) -> str:
    """Return the last part of the name that is called, or nothing."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def dotted(node: ast.expr) -> tuple[str, ...]:
    """`a.b.c` as its parts; ("",) when it does not start with a plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return tuple(reversed(parts))


def modules(tree: Path = PACKAGE) -> list[Module]:
    """Every Python file under `tree`, sorted by path."""
    return [
        Module(file.relative_to(tree).as_posix(), file)
        for file in sorted(tree.rglob("*.py"))
        if "__pycache__" not in file.parts
    ]


def plant(tree: Path, files: dict[str, str]) -> list[Module]:
    """Write a small source tree, for tests that show a guard biting."""
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, "utf-8")
    return modules(tree)
