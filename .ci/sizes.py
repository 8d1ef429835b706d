"""The sizes that library, stages and benchmarks keep to: one line for each violation.

A function has at most 40 lines of code and 8 parameters, a module at most 350 lines.  Lines of
code are those of the body that hold more than a comment or a docstring.  `self` and `cls` are no
parameters, and constructors may have any number, as their keywords are a model's configuration;
so may stages and benchmarks, whose parameters are the options of a command.

    python .ci/sizes.py [ROOT]
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

CODE_LINES, PARAMETERS, MODULE_LINES = 40, 8, 350
FOLDERS = ("replearn", "pipelines", "benchmarks")
COMMANDS = ("pipelines/", "benchmarks/")
SHARED_OPTIONS = (
    "ColumnsOption",
    "IdsFromOption",
    "LayoutOption",
    "SeparatorOption",
    "UncertainOption",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def violations(root: Path) -> Iterator[str]:
    """Yield what is too long or too wide in the folders below a root."""
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        text, place = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        length = len(text.splitlines())
        if length > MODULE_LINES:
            yield f"{place}: {length} lines"
        tree = ast.parse(text)
        code = _code_lines(text, tree)
        methods = _methods(tree)
        for function in _functions(tree):
            name = f"{place}:{function.lineno} {function.name}"
            body = range(function.body[0].lineno, (function.end_lineno or 0) + 1)
            length = len(code.intersection(body))
            if length > CODE_LINES:
                yield f"{name}: {length} lines of code"
            width = len(_parameters(function)) - (function in methods)
            free = function.name == "__init__" or (
                place.startswith(COMMANDS) and _command(function)
            )
            if width > PARAMETERS and not free:
                yield f"{name}: {width} parameters"


def _functions(tree: ast.Module) -> list[Function]:
    found = [node for node in ast.walk(tree) if isinstance(node, Function)]
    return sorted(found, key=lambda function: function.lineno)


def _methods(tree: ast.Module) -> set[Function]:
    """Return the functions that get an instance or a class as their first argument."""
    return {
        member
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for member in node.body
        if isinstance(member, Function)
        and "staticmethod" not in map(ast.unparse, member.decorator_list)
    }


def _code_lines(text: str, tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that hold code; docstrings are none."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            lines -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return lines


def _parameters(function: Function) -> list[ast.arg]:
    given = function.args
    several = [argument for argument in (given.vararg, given.kwarg) if argument]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]


def _command(function: Function) -> bool:
    """Tell whether all parameters are options or arguments of a command."""
    annotations = [
        ast.unparse(parameter.annotation) if parameter.annotation else ""
        for parameter in _parameters(function)
    ]
    return all(
        text in SHARED_OPTIONS
        or (
            text.startswith("Annotated[")
            and any(kind in text for kind in ("typer.Option(", "typer.Argument("))
        )
        for text in annotations
    )


def main(arguments: list[str]) -> int:
    """Print the violations and return 1 if there are any, else 0."""
    root = Path(arguments[0]) if arguments else Path(__file__).parent.parent
    found = list(violations(root))
    for line in found:
        print(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
