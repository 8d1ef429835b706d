"""The check of sizes: what is too long or too wide is found, what may be so is not."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / ".ci/sizes.py"


def sizes(root: Path, **files: str) -> list[str]:
    """Return what the script prints of files under a root, named `folder__module`."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == bool(done.stdout)
    return done.stdout.splitlines()


def function(lines: int) -> str:
    """Return a function with so many lines of code, and as many that are none."""
    body = "".join(f"    x{number} = (\n        1\n    )\n" for number in range(lines // 3))
    body += "    # Why.\n\n" * lines + "    pass\n" * (lines % 3)
    head = "@cache\ndef long(\n    a: int,\n    b: int,\n) -> None:\n"
    return f'{head}    """What.\n\n    Why.\n    """\n{body}'


def parameters(count: int, annotation: str = "int") -> str:
    return ", ".join(f"p{number}: {annotation}" for number in range(count))


def test_a_function_is_as_long_as_the_lines_of_code_in_its_body(tmp_path: Path) -> None:
    assert sizes(tmp_path, replearn__a=function(40)) == []
    assert sizes(tmp_path, replearn__a=function(41)) == ["replearn/a.py:2 long: 41 lines of code"]
    assert sizes(tmp_path, replearn__a="", benchmarks__a=function(41)) == [
        "benchmarks/a.py:2 long: 41 lines of code"
    ]


def test_a_function_has_at_most_eight_parameters_and_self_is_none(tmp_path: Path) -> None:
    fits = f"def wide({parameters(8)}): ...\n"
    method = f"class A:\n    def wide(self, {parameters(8)}): ...\n"
    assert sizes(tmp_path, replearn__a=fits, replearn__inside__b=method) == []
    every_kind = "def wide(a, b, /, c, d, e, *f, g, h, **i): ...\n"
    static = f"class A:\n    @staticmethod\n    def wide({parameters(9)}): ...\n"
    assert sizes(tmp_path, replearn__a=every_kind, replearn__inside__b=static) == [
        "replearn/a.py:1 wide: 9 parameters",
        "replearn/inside/b.py:3 wide: 9 parameters",
    ]


def test_a_constructor_and_a_dataclass_may_be_wide(tmp_path: Path) -> None:
    constructor = f"class A:\n    def __init__(self, {parameters(20)}): ...\n"
    fields = "@dataclass\nclass B:\n" + "".join(f"    f{n}: int\n" for n in range(20))
    assert sizes(tmp_path, replearn__a=constructor + fields) == []


def test_a_stage_or_a_benchmark_may_have_any_number_of_options_but_no_long_body(
    tmp_path: Path,
) -> None:
    option = "Annotated[int | None, typer.Option(help='So many.')]"
    stage = f"def stage({parameters(20, option)}):\n    pass\n"
    assert sizes(tmp_path, pipelines__a=stage, benchmarks__a=stage) == []
    assert sizes(tmp_path, pipelines__a=stage + "    pass\n" * 40) == [
        "pipelines/a.py:1 stage: 41 lines of code"
    ]
    part_of_it = f"def part({parameters(8, option)}, other: int): ...\n"
    assert sizes(tmp_path, pipelines__a=part_of_it) == ["pipelines/a.py:1 part: 9 parameters"]
    assert sizes(tmp_path, pipelines__a="", replearn__a=stage) == [
        "replearn/a.py:1 stage: 20 parameters"
    ]


def test_a_module_has_at_most_350_lines_of_any_kind(tmp_path: Path) -> None:
    assert sizes(tmp_path, replearn__a="# Why.\n" * 350) == []
    assert sizes(tmp_path, replearn__a="# Why.\n" * 351) == ["replearn/a.py: 351 lines"]
    assert sizes(tmp_path, replearn__a="", tests__a="# Why.\n" * 351) == []
