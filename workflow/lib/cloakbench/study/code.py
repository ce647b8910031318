"""What code a job runs, as one hash: a job is repeated when code that it runs has changed, and only then.

A script reaches definitions of the library, which reach further ones: functions, classes, constants, followed by name
from import to import, relative ones and those of packages' `__init__` included. These are hashed as parsed, so that no
comment, docstring, line break or wording for people counts. Of a registry, such as LOADERS, only the chosen entries do.
Where a name cannot be followed, all of its module counts. Standard library only, for the rule files.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path

PACKAGE = "cloakbench"
# What carries a job (its command line, log and seals) puts no byte into an output, of the keys of a cell a job is told
# those that it has, and what reads code decides what is done again, not how.
CARRIERS = {
    f"{PACKAGE}.{name}" for name in ("jobs.command", "jobs.versions", "files.seals", "study.keys", "study.code")
}
TOLD = {"print", "warn", "tqdm", "debug", "info", "warning", "error", "critical", "exception"}  # what people read
WORDING = {"help", "desc", "description", "unit", "metavar"}  # and this, whoever is told
UNSAID = {"ctx", "kind", "type_comment"}  # of a parsed piece of code, what says nothing of what it does
SCREENS = {"stderr", "stdout", "log"}

Choice = Mapping[str, Iterable[str]]  # "<module>.<NAME>" of a registry to the names of the entries that count
Definition = tuple["Module", str]  # and its name


class Library:
    """The Python files below `root`, where modules are found by name."""

    def __init__(self, root: Path):
        self.root = root
        # a study asks for the code of dozens of jobs, which share most of it: each thing is looked at once
        self._module, self._script = cache(self._module), cache(self._script)
        self._resolved, self._read = cache(self._resolved), cache(self._read)

    def version(self, start: Path | str, chosen: Choice | None = None) -> str:
        """sha256 over what a script, or a definition by its dotted name, runs. Raises ValueError if it is not there."""
        parts = self.reached(start, chosen or {}).values()
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()

    def reached(self, start: Path | str, chosen: Choice) -> dict[tuple[str, str], str]:
        """Module and name of every definition that is reached, and its text; "" names what importing a module does."""
        if isinstance(start, Path):
            waiting = [*self._script(start)]
        else:
            waiting = [*self._resolved(start)]
            if {name for _, name in waiting} != {start.rpartition(".")[2]}:
                raise ValueError(f"{start}: no such definition")
        found: dict[tuple[str, str], str] = {}
        while waiting:
            module, name = waiting.pop()
            if (module.name, name) in found or module.name in CARRIERS:
                continue
            registry = f"{module.name.removeprefix(f'{PACKAGE}.')}.{name}"
            entries = frozenset(chosen[registry]) if registry in chosen else None
            found[module.name, name], used = self._read(module, name, entries)
            waiting += used
        return found

    def _read(self, module: Module, name: str, entries: frozenset | None) -> tuple[str, list[Definition]]:
        """A definition's text, and the definitions that it may use. entries: of a registry those that count."""
        said = filter(None, map(_WithoutWords().visit, module.definitions[name]))
        statements = [_only(statement, entries) for statement in said]
        used = {(module, ""): None} if name else dict.fromkeys(self._imported(module))
        for statement in statements:
            for dotted in _references(statement, module):
                used |= dict.fromkeys(self._resolved(dotted))
        return f"{module.name} {name} {' '.join(map(text, statements))}", [*used]

    def _script(self, path: Path) -> list[Definition]:
        script = Module(path, "__main__")
        return [(script, name) for name in script.definitions]

    def _module(self, name: str) -> Module | None:
        stem = self.root / name.replace(".", "/")
        path = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
        return path and Module(path, name)

    def _resolved(self, dotted: str) -> list[Definition]:
        """The definitions that a dotted name such as cloakbench.statistics.psr.protection stands for."""
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            if module := self._module(".".join(parts[:end])):
                name = parts[end] if parts[end:] else ""
                if name and name in module.definitions:
                    return [(module, name)]
                if name in module.imports:
                    return [each for further in module.imports[name] for each in self._resolved(further)]
                # the module itself is handed on, or makes the name in a way that is not followed
                return [(module, each) for each in module.definitions]
        return []

    def _imported(self, module: Module) -> Iterator[Definition]:
        """What runs when a module is imported: its packages, and the modules that it imports."""
        for dotted in [module.name, *module.loaded]:
            parts = dotted.split(".")
            for end in range(1, len(parts) + 1):
                if loaded := self._module(".".join(parts[:end])):
                    yield loaded, ""


class Module:
    """A parsed file.

    definitions: its top-level statements by each name that they bind; "": those that do something at import.
    imports: what a local name may stand for, by imports anywhere in the file. loaded: what importing it imports.
    """

    def __init__(self, path: Path, name: str):
        self.name = name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.body = ast.parse(path.read_bytes()).body

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        found: dict[str, list[ast.stmt]] = {"": []}
        for statement in self.body:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                for name in _bound(statement) or {""}:
                    found.setdefault(name, []).append(statement)
        own = self.imports.keys() | found.keys()
        found[""] = [statement for statement in self.body if statement in found[""] or _decorators(statement) & own]
        return found

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        return self._imports(node for statement in self.body for node in _statements(statement))

    @cached_property
    def loaded(self) -> list[str]:
        return sorted(name for names in self._imports(self.body).values() for name in names)

    def _imports(self, nodes: Iterable[ast.AST]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for node in nodes:
            if isinstance(node, ast.Import):
                pairs = [(alias.asname or PACKAGE, alias.name if alias.asname else PACKAGE) for alias in node.names]
                pairs = [pair for pair, alias in zip(pairs, node.names, strict=True) if _own(alias.name)]
            elif isinstance(node, ast.ImportFrom) and _own(base := self._absolute(node)):
                pairs = [(alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names]
            else:
                continue
            for name, dotted in pairs:
                found.setdefault(name, set()).add(dotted)
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def text(node: object) -> str:
    """A parsed piece of code as text that is the same in every version of Python."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in UNSAID)
        said = isinstance(node, ast.Constant)  # even None
        parts = " ".join(f"{name}={text(value)}" for name, value in fields if said or value not in (None, []))
        return f"{type(node).__name__}({parts})"
    return f"[{' '.join(map(text, node))}]" if isinstance(node, list) else repr(node)


def _own(dotted: str) -> bool:
    return dotted.split(".")[0] == PACKAGE


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    nodes = list(ast.walk(statement))
    inner = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return inner | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _decorators(statement: ast.stmt) -> set[str]:
    """The names that begin a definition's decorators: one of this package may put it where it is found without its
    name."""
    decorators = getattr(statement, "decorator_list", [])
    return {_chain(node.func if isinstance(node, ast.Call) else node)[0] for node in decorators}


def _statements(statement: ast.AST) -> Iterator[ast.AST]:
    """A statement and all within it."""
    yield statement
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(statement, name, ()):
            yield from _statements(inner)


def _only(statement: ast.stmt, entries: frozenset | None) -> ast.stmt:
    """A statement; of one that makes a registry only these entries."""
    if entries is None or not isinstance(getattr(statement, "value", None), ast.Dict):
        return statement
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    pairs = zip(statement.value.keys, statement.value.values, strict=True)
    kept = [(key, value) for key, value in pairs if not isinstance(key, ast.Constant) or key.value in entries]
    registry = ast.Dict(keys=[key for key, _ in kept], values=[value for _, value in kept])
    return ast.Assign(targets=[target], value=registry)


def _references(statement: ast.stmt, module: Module) -> Iterator[str]:
    """Dotted names of the package's definitions that a statement of a module may use."""
    yield from (every.removesuffix(".*") for every in module.imports.get("*", ()))
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if base := _chain(node)[0]:
            rest = _chain(node)[1:]
            for dotted in module.imports.get(base, ()):
                yield ".".join([dotted, *rest])
            if base in module.definitions:
                yield f"{module.name}.{base}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{PACKAGE}."):
            yield node.value  # a module that is imported by its name
        elif isinstance(node, ast.AnnAssign):  # whose annotation is never run
            waiting += [part for part in (node.target, node.value) if part]
        else:
            waiting += ast.iter_child_nodes(node)


def _chain(node: ast.AST) -> list[str]:
    """["a", "b", "c"] for a.b.c; [""] for what is no name."""
    rest: list[str] = []
    while isinstance(node, ast.Attribute):
        rest.append(node.attr)
        node = node.value
    return [node.id, *reversed(rest)] if isinstance(node, ast.Name) else [""]


class _WithoutWords(ast.NodeTransformer):
    """Takes out what no job runs, docstrings and annotations, and empties what only people read."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        files = [_chain(keyword.value)[-1] for keyword in node.keywords if keyword.arg == "file"]
        if _chain(node.func)[-1] in TOLD and set(files) <= SCREENS:
            node.args = [_Silent().visit(argument) for argument in node.args]
        for keyword in node.keywords:
            if keyword.arg in WORDING:
                keyword.value = _Silent().visit(keyword.value)
        return node


class _Silent(ast.NodeTransformer):
    """Empties strings."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        values = [value.value for value in node.values if isinstance(value, ast.FormattedValue)]
        return ast.Tuple(elts=[self.visit(value) for value in values])
