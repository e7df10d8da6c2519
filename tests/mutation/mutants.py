"""What is changed: places in a module, and the changes of mutmut's operators at each of them."""

import ast
import dataclasses
import difflib
import functools
import random

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string

# Calls whose arguments are texts for people, and arguments that change nothing in a right program.
LOGS = ("logging", "log", "print", "_progress")
SILENT_ARGUMENTS = ("encoding", "stacklevel", "strict")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A module with one change: where it is, and what it becomes."""

    path: str
    lines: range
    statement: int  # the first line of its statement
    text: str
    change: str

    @property
    def name(self):
        return f"{self.path}:{self.lines.start}"


class _Places(cst.CSTVisitor):
    """Collects [(node, nodes that an operator makes of it)] of a module, a row a place."""

    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self):
        self.places = []

    def on_visit(self, node):
        if isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)):
            return False
        if isinstance(node, cst.If) and _names(node.test)[-1] == "TYPE_CHECKING":
            return False
        if isinstance(node, cst.Call) and _names(node.func)[0] in LOGS:
            return False
        if isinstance(node, cst.Arg) and node.keyword and node.keyword.value in SILENT_ARGUMENTS:
            return False
        if isinstance(node, cst.Assign) and _names(node.targets[0].target)[0] == "__all__":
            return False
        if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
            inner = node.body[0]
            if isinstance(inner, cst.Expr) and isinstance(inner.value, cst.BaseString):
                return False  # a docstring
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                results = self._results(node, operator)
                if results:
                    self.places.append((node, results))
        return True

    @staticmethod
    def _results(node, operator):
        results = list(operator(node))
        if results and operator is operator_string:
            if any(
                space in node.value for space in " \\"
            ):  # a text for people; regular expressions
                return []
            return results[:1]  # the others change its case, which many names do not heed
        if operator is operator_arg_removal:
            return [result for result in results if _silent(result) == _silent(node)]
        return results


def _names(node):
    """The names of an expression `a.b.c`, one that is empty of another."""
    if isinstance(node, cst.Attribute):
        return [*_names(node.value), node.attr.value]
    return [node.value if isinstance(node, cst.Name) else ""]


def _silent(call):
    """The arguments of a call among `SILENT_ARGUMENTS`, with their values."""
    words = [
        (arg.keyword.value, cst.Module([]).code_for_node(arg.value))
        for arg in call.args
        if arg.keyword
    ]
    return [word for word in words if word[0] in SILENT_ARGUMENTS]


def places_of(path):
    """The places of a file: (path, its text, the span of a node, texts that replace it)."""
    text = path.read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    visitor = _Places()
    wrapper.visit(visitor)
    positions, parents = (wrapper.resolve(kind) for kind in (PositionProvider, ParentNodeProvider))
    for node, results in visitor.places:
        statement = node
        while not isinstance(statement, (cst.BaseSmallStatement, cst.BaseStatement)):
            statement = parents.get(statement)
            if statement is None:
                break
        whole = positions.get(statement) if statement else None
        if node in positions and whole:
            yield path, text, positions[node], whole, wrapper.module, results


def sample(root, paths, count, seed):
    """So many mutants of files in an order of chance, at most one of a place; and the places."""
    chance = random.Random(seed)
    places = [place for path in sorted(paths) for place in places_of(path)]
    chance.shuffle(places)
    mutants = []
    for path, text, span, statement, module, results in places:
        code = module.code_for_node(chance.choice(results))
        after = _splice(text, span, code)
        if _is_another_program(text, after):
            lines = range(span.start.line, span.end.line + 1)
            name = path.relative_to(root).as_posix()
            mutants.append(Mutant(name, lines, statement.start.line, after, _change(text, after)))
            if len(mutants) == count:
                break
    return mutants, len(places)


def _splice(text, span, code):
    lines = text.splitlines(keepends=True)
    before = "".join(lines[: span.start.line - 1]) + lines[span.start.line - 1][: span.start.column]
    after = lines[span.end.line - 1][span.end.column :] + "".join(lines[span.end.line :])
    return before + code + after


def _change(before, after):
    rows = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return "\n".join(row for row in list(rows)[2:] if not row.startswith("@@"))


def _is_another_program(before, after):
    try:
        compile(after, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return _tree(before) != _tree(after)


@functools.lru_cache(64)
def _tree(text):
    return ast.dump(ast.parse(text))
